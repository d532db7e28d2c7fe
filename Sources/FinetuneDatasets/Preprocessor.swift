// An input recipe at work: the geometry that gives a crop, and the table that turns its bytes into numbers.

package import FinetuneModels

/// A recipe prepared for many pictures.
package struct Preprocessor: Sendable {
    package let recipe: InputRecipe
    /// 256 values for each channel, in the recipe's order.
    private let table: [Float]

    package init(_ recipe: InputRecipe) {
        self.recipe = recipe
        table = (0..<recipe.channels).flatMap { channel in
            (0..<256).map { value in
                (Float(Double(value) * recipe.scale) - Float(recipe.mean[channel])) / Float(recipe.standardDeviation[channel])
            }
        }
    }

    /// The number of floats of one image, `height · width · channels`.
    package var count: Int { recipe.height * recipe.width * recipe.channels }

    /// The part of a picture that the network sees, `height` × `width` pixels.
    ///
    /// `crop` has torchvision's numbers (`Resize`, then `CenterCrop`), `squash` those of Pillow's `resize`; `pad` fits
    /// the whole picture in and fills up with black.
    package func crop(_ picture: Picture) -> Picture {
        let (height, width) = (recipe.height, recipe.width)
        var (newHeight, newWidth) = (height, width)
        switch recipe.fit {
        case .squash: break
        case .crop, .pad:
            let ratio = recipe.fit == .crop ? recipe.resizeRatio : 1
            let wanted = (height: Int(Double(height) * ratio + 1e-6), width: Int(Double(width) * ratio + 1e-6))
            // Cropping covers the wanted size, padding stays inside it; the other side follows, cut to whole pixels.
            let heightLeads = wanted.height * picture.width >= wanted.width * picture.height
            if heightLeads == (recipe.fit == .crop) {
                (newHeight, newWidth) = (wanted.height, max(1, wanted.height * picture.width / picture.height))
            } else {
                (newHeight, newWidth) = (max(1, wanted.width * picture.height / picture.width), wanted.width)
            }
        }
        /// Half the room on this side; halves to even, as Python rounds.
        func start(_ size: Int, _ window: Int) -> Int { Int((Double(size - window) / 2).rounded(.toNearestOrEven)) }
        return picture.resized(
            width: newWidth, height: newHeight, recipe.interpolation,
            crop: (start(newWidth, width), start(newHeight, height), width, height))
    }

    /// Writes the numbers of a crop, shape `[height, width, channels]`.
    package func write(_ crop: Picture, into out: UnsafeMutableBufferPointer<Float>) {
        precondition(crop.width == recipe.width && crop.height == recipe.height && out.count == count)
        table.withUnsafeBufferPointer { table in
            crop.bytes.withUnsafeBufferPointer { bytes in
                if recipe.channels == 1 {
                    for pixel in 0..<out.count { out[pixel] = table[Self.luminance(bytes, 3 * pixel)] }
                } else {
                    let isReversed = recipe.order == .bgr
                    for start in stride(from: 0, to: out.count, by: 3) {
                        out[start] = table[Int(bytes[isReversed ? start + 2 : start])]
                        out[start + 1] = table[256 + Int(bytes[start + 1])]
                        out[start + 2] = table[512 + Int(bytes[isReversed ? start : start + 2])]
                    }
                }
            }
        }
    }

    /// ITU-R 601-2 luma with Pillow's rounding (`convert('L')`).
    private static func luminance(_ bytes: UnsafeBufferPointer<UInt8>, _ start: Int) -> Int {
        (Int(bytes[start]) * 19595 + Int(bytes[start + 1]) * 38470 + Int(bytes[start + 2]) * 7471 + 0x8000) >> 16
    }
}
