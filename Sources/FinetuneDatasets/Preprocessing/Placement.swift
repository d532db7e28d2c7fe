// Which part of a picture the network is shown and what becomes of it, with the roundings of torchvision 0.28, timm 1.0,
// transformers 5, Keras 3 and Pillow's `ImageOps.pad`.

internal import FinetuneModels

/// What of a picture is resized, to what, which part of that is kept, and where it lies in the network's input.
struct Placement {
    struct Axis {
        var resize: ResizedAxis
        /// Where the first kept pixel lies in the input; before it and behind the last one is the border.
        var offset: Int
    }

    let horizontal: Axis
    let vertical: Axis

    /// - Parameters:
    ///   - width: Pixels of a row of the picture.
    ///   - height: Rows of the picture.
    init(_ width: Int, _ height: Int, in recipe: InputRecipe) {
        let source = Sides(width: width, height: height)
        let input = Sides(width: recipe.width, height: recipe.height)
        let target = Sides(
            width: Self.scaled(input.width, by: recipe.resizeRatio),
            height: Self.scaled(input.height, by: recipe.resizeRatio))
        var frame: Sides?
        let resized: Sides
        switch (recipe.fit, recipe.rules) {
        case (.squash, .standard):
            resized = input
        case (.squash, _):
            resized = target
        case (.crop, .standard):
            resized = source.covering(target)
        case (.crop, .timm) where target.width != target.height:
            resized = source.divided(by: min(source.widths(of: target), source.heights(of: target)))
        case (.crop, .timm), (.crop, .torchvision), (.crop, .transformers):
            resized = source.withShortSide(min(target.width, target.height))
        case (.crop, .keras):
            (frame, resized) = (source.cut(to: target), target)
        case (.pad, .timm):
            resized = source.divided(by: max(source.widths(of: target), source.heights(of: target)))
        case (.pad, .keras):
            (frame, resized) = (source.padded(to: target), target)
        case (.pad, _):
            resized = source.contained(in: input)
        case (.unscaled, .keras) where width < input.width || height < input.height:
            (frame, resized) = (source.cut(to: input), input)
        case (.unscaled, _):
            resized = source
        }
        func axis(_ source: Int, _ frame: Int?, _ resized: Int, _ side: Int) -> Axis {
            let window = frame.map { Self.middle($0, of: source) }
            guard resized < side else {
                let rounding: FloatingPointRoundingRule = recipe.roundsMiddleDown ? .down : .toNearestOrEven
                let start = Self.half(resized - side, rounding)
                return Axis(resize: .init(window: window, length: resized, kept: start..<start + side), offset: 0)
            }
            let offset = Self.half(side - resized, recipe.padsLikePillow ? .toNearestOrEven : .down)
            return Axis(resize: .init(window: window, length: resized, kept: 0..<resized), offset: offset)
        }
        horizontal = axis(width, frame?.width, resized.width, input.width)
        vertical = axis(height, frame?.height, resized.height, input.height)
    }

    /// A side of the input before the middle is cut out. A ratio such as 256/224 is not exact in binary; nothing else
    /// comes within a millionth of the next whole number.
    private static func scaled(_ side: Int, by ratio: Double) -> Int { max(1, Int(ratio * Double(side) + 1e-6)) }

    private static func half(_ pixels: Int, _ rounding: FloatingPointRoundingRule) -> Int {
        Int((Double(pixels) / 2).rounded(rounding))
    }

    /// Keras' window of about `length` pixels in the middle. Where it reaches beyond the source, the border is as wide
    /// on both sides, which may make it a pixel shorter.
    private static func middle(_ length: Int, of side: Int) -> Range<Int> {
        if length <= side {
            let start = (side - length) / 2
            return start..<start + length
        }
        let border = (length - side) / 2
        return -border..<side + border
    }
}

extension InputRecipe {
    /// Keras and transformers divide by two and drop the half; torchvision and timm round it to even.
    fileprivate var roundsMiddleDown: Bool { rules == .keras || rules == .transformers }

    /// Whether a border is rounded as in `ImageOps.pad`, and not as torchvision's `CenterCrop` does.
    fileprivate var padsLikePillow: Bool { fit == .pad && rules != .timm && rules != .keras }
}

/// Width and height in pixels.
private struct Sides {
    var width: Int
    var height: Int

    /// How many times the target's width fits into this one.
    func widths(of target: Sides) -> Double { Double(width) / Double(target.width) }
    func heights(of target: Sides) -> Double { Double(height) / Double(target.height) }

    /// The smallest in this shape that covers the target: one side is exact, the other truncated as in torchvision.
    func covering(_ target: Sides) -> Sides {
        target.width * height >= target.height * width
            ? Sides(width: target.width, height: target.width * height / width)
            : Sides(width: target.height * width / height, height: target.height)
    }

    /// torchvision's `Resize(side)`.
    func withShortSide(_ side: Int) -> Sides { covering(Sides(width: side, height: side)) }

    /// timm's `ResizeKeepRatio`.
    func divided(by ratio: Double) -> Sides {
        Sides(width: Self.rounded(Double(width) / ratio), height: Self.rounded(Double(height) / ratio))
    }

    /// Pillow's `ImageOps.contain`.
    func contained(in target: Sides) -> Sides {
        width * target.height >= height * target.width
            ? Sides(width: target.width, height: Self.rounded(Double(height) / Double(width) * Double(target.width)))
            : Sides(width: Self.rounded(Double(width) / Double(height) * Double(target.height)), height: target.height)
    }

    /// The largest part in the target's shape: Keras' `crop_to_aspect_ratio`.
    func cut(to target: Sides) -> Sides {
        let fitted = fitted(to: target)
        return Sides(width: max(1, min(width, fitted.width)), height: max(1, min(height, fitted.height)))
    }

    /// The smallest whole in the target's shape: Keras' `pad_to_aspect_ratio`.
    func padded(to target: Sides) -> Sides {
        let fitted = fitted(to: target)
        return Sides(width: max(width, fitted.width), height: max(height, fitted.height))
    }

    /// The width that goes with this height in the target's shape, and the height that goes with this width.
    private func fitted(to target: Sides) -> Sides {
        Sides(
            width: Int(Double(height * target.width) / Double(target.height)),
            height: Int(Double(width * target.height) / Double(target.width)))
    }

    private static func rounded(_ length: Double) -> Int { max(1, Int(length.rounded(.toNearestOrEven))) }
}
