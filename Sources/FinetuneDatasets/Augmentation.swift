// Small changes to a picture that leave its class alone, drawn for each image and view by itself.

package import FinetuneEngine
package import FinetuneFiles
internal import FinetuneModels

/// How pictures are varied while a network learns.
package enum Augmentation: String, Sendable, CaseIterable {
    case none
    /// A part of the picture, resized to the network's input and in half of the cases mirrored. The part has 70 to
    /// 100 % of the area that is seen without augmentation, its shape but for 10 %, and any place. For a picture of the
    /// input's shape: torchvision's `RandomResizedCrop(scale=(0.7, 1), ratio=(0.9, 1.1))` and `RandomHorizontalFlip`.
    case light

    /// What is drawn for one picture.
    package struct Parameters: Sendable, Equatable {
        /// The part of the picture that is kept.
        package var columns: Range<Int>
        package var rows: Range<Int>
        package var isMirrored: Bool
    }

    /// Draws parameters; nil where nothing changes.
    ///
    /// - Parameters:
    ///   - width: Pixels of a row of the picture.
    ///   - aspect: Width by height of what is seen without augmentation: the input's where the picture's middle is cut
    ///     out, the picture's own where it is squashed or padded.
    ///   - random: Numbers that depend on the run's seed, the image and the view alone.
    package func draw(width: Int, height: Int, aspect: Double, _ random: inout RandomNumbers) -> Parameters? {
        guard self == .light else { return nil }
        let seen = (
            width: min(Double(width), Double(height) * aspect), height: min(Double(height), Double(width) / aspect)
        )
        let (left, top) = ((width - Int(seen.width)) / 2, (height - Int(seen.height)) / 2)
        var part = (columns: left..<left + max(1, Int(seen.width)), rows: top..<top + max(1, Int(seen.height)))
        // As torchvision: ten tries to fit a part of the drawn area and shape, then the middle.
        for _ in 0..<10 {
            let area = seen.width * seen.height * (0.7 + 0.3 * random.nextUnit())
            let ratio = aspect * (0.9 + 0.2 * random.nextUnit())
            let wide = Int((area * ratio).squareRoot().rounded())
            let high = Int((area / ratio).squareRoot().rounded())
            guard wide > 0, wide <= width, high > 0, high <= height else { continue }
            let left = Int(random.next(upperBound: UInt64(width - wide + 1)))
            let top = Int(random.next(upperBound: UInt64(height - high + 1)))
            part = (left..<left + wide, top..<top + high)
            break
        }
        return Parameters(columns: part.columns, rows: part.rows, isMirrored: random.nextUnit() < 0.5)
    }
}

/// One of the ways in which an image is shown to a network.
package struct ImageView: Sendable, Equatable {
    package let augmentation: Augmentation
    /// 0 is the image as it is scored; others are varied.
    package let number: Int
    package let seed: UInt64

    package init(_ augmentation: Augmentation, number: Int, seed: UInt64) {
        self.augmentation = augmentation
        self.number = number
        self.seed = seed
    }

    /// The image as it is scored.
    package static let plain = ImageView(.none, number: 0, seed: 0)

    package var isPlain: Bool { augmentation == .none || number == 0 }

    /// What is drawn for an image of this content; see `Augmentation.draw`.
    package func parameters(for hash: ContentHash, width: Int, height: Int, aspect: Double)
        -> Augmentation.Parameters?
    {
        guard !isPlain else { return nil }
        var random = RandomNumbers(seed: seed ^ hash.low, stream: hash.high &+ UInt64(number))
        return augmentation.draw(width: width, height: height, aspect: aspect, &random)
    }

    /// The name under which what comes of this view of an image is kept.
    package func key(for hash: ContentHash) -> ContentHash {
        isPlain ? hash : ContentHash(of: "\(hash.text) \(augmentation.rawValue) \(number)", key: seed)
    }
}

extension Picture {
    /// The picture with left and right exchanged.
    package var mirrored: Picture {
        let mirrored = [UInt8](unsafeUninitializedCapacity: bytes.count) { out, written in
            for y in 0..<height {
                for x in 0..<width {
                    let (target, source) = ((y * width + x) * channels, (y * width + width - 1 - x) * channels)
                    for channel in 0..<channels { out[target + channel] = bytes[source + channel] }
                }
            }
            written = bytes.count
        }
        return Picture(width: width, height: height, channels: channels, bytes: mirrored)
    }
}

extension Preprocessor {
    /// Width by height of what of a picture is seen without augmentation.
    package func aspect(of picture: Picture) -> Double {
        recipe.fit == .crop
            ? Double(recipe.width) / Double(recipe.height) : Double(picture.width) / Double(picture.height)
    }

    /// Brings a part of a picture to the network's size and channels.
    ///
    /// - Returns: A picture of exactly the recipe's width, height and channels, red first.
    package func crop(_ picture: Picture, _ parameters: Augmentation.Parameters) -> Picture {
        let source = recipe.channels == 1 ? picture.gray : picture
        let part = source.cropped(columns: parameters.columns, rows: parameters.rows)
            .resized(width: recipe.width, height: recipe.height, interpolation: recipe.interpolation)
        let turned = parameters.isMirrored ? part.mirrored : part
        return recipe.channels == 3 ? turned.color : turned
    }
}
