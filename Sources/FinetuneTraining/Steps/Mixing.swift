// Pairs of images made one, with the share of each as its target: mixup and cutmix.

internal import FinetuneEngine
internal import FinetuneFiles

/// How the images of a batch are mixed with one another.
///
/// What is mixed is what enters the part that learns: pictures where everything learns (Zhang et al. 2018), else what
/// the frozen part makes of them (manifold mixup, Verma et al. 2019).
public struct Mixing: Sendable, Equatable {
    /// `a` of the distribution Beta(a, a) of the shares of mixup; 0 for none.
    public var mixup = 0.0
    /// The same of cutmix (Yun et al. 2019). Where both are wanted, each has half of the batches.
    public var cutmix = 0.0

    /// Without arguments, nothing is mixed.
    public init(mixup: Double = 0, cutmix: Double = 0) {
        (self.mixup, self.cutmix) = (mixup, cutmix)
    }

    var isOn: Bool { mixup > 0 || cutmix > 0 }

    /// Mixes each image with another one of the batch.
    ///
    /// - Parameters:
    ///   - images: Shape `[images, …]` in `order`.
    ///   - targets: Probabilities, shape `[images, classes]`.
    ///   - random: Numbers that depend on the run's seed and the step alone.
    func apply(
        _ images: Tensor, _ order: ImageOrder, _ targets: Tensor, _ random: inout RandomNumbers
    ) -> (images: Tensor, targets: Tensor) {
        guard isOn, images.shape[0] > 1 else { return (images, targets) }
        let cuts = cutmix > 0 && (mixup == 0 || random.nextUnit() < 0.5)
        var partners = Array(0..<images.shape[0])
        partners.shuffle(using: &random)
        let share = random.nextBeta(cuts ? cutmix : mixup, cuts ? cutmix : mixup)
        guard cuts else {
            return (images.mixed(with: partners, share: share), targets.mixed(with: partners, share: share))
        }
        let size = order == .channelsLast ? Array(images.shape[1...2]) : Array(images.shape[2...3])
        let center = size.map { Int(random.next(upperBound: UInt64($0))) }
        let box = Box(share: share, height: size[0], width: size[1], center: (center[0], center[1]))
        return (
            images.pasting(box, from: partners, order),
            targets.mixed(with: partners, share: box.share(outside: size[0] * size[1]))
        )
    }

    /// A part of an image.
    struct Box: Equatable {
        let rows: Range<Int>
        let columns: Range<Int>

        /// A box of `1 − share` of the area around a pixel, as far as it lies in the image: that of torchvision's
        /// `CutMix`.
        init(share: Double, height: Int, width: Int, center: (row: Int, column: Int)) {
            let ratio = (1 - share).squareRoot()
            func side(_ length: Int, _ center: Int) -> Range<Int> {
                let half = Int(Double(length) * ratio) / 2
                return max(0, center - half)..<min(length, center + half)
            }
            rows = side(height, center.row)
            columns = side(width, center.column)
        }

        /// The share of an image of so many pixels that the box leaves.
        func share(outside pixels: Int) -> Double { 1 - Double(rows.count * columns.count) / Double(pixels) }
    }
}

extension Tensor {
    /// `share` of each row and the rest of its partner's.
    func mixed(with partners: [Int], share: Double) -> Tensor {
        let size = shape.dropFirst().reduce(1, *)
        let (own, other) = (Float(share), Float(1 - share))
        return withSpan { values in
            mapRows { row, x, result in
                let y = values.extracting(partners[row] * size..<(partners[row] + 1) * size)
                for index in x.indices { result[index] = own * x[index] + other * y[index] }
            }
        }
    }

    /// Each image with a box of its partner's.
    func pasting(_ box: Mixing.Box, from partners: [Int], _ order: ImageOrder) -> Tensor {
        let size = shape.dropFirst().reduce(1, *)
        let isLast = order == .channelsLast
        let (planes, height) = isLast ? (1, shape[1]) : (shape[1], shape[2])
        let (width, depth) = isLast ? (shape[2], shape[3]) : (shape[3], 1)
        return withSpan { values in
            mapRows { image, own, result in
                let other = values.extracting(partners[image] * size..<(partners[image] + 1) * size)
                result.update(from: own)
                for plane in 0..<planes {
                    for y in box.rows {
                        let start = ((plane * height + y) * width + box.columns.lowerBound) * depth
                        let end = start + box.columns.count * depth
                        result.update(at: start, from: other.extracting(start..<end))
                    }
                }
            }
        }
    }
}
