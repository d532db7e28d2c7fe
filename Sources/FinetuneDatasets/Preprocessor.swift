// From a decoded picture to a network's input: the geometry of torchvision, timm, Keras and Pillow's `ImageOps.pad`,
// then one table look-up a number.

package import FinetuneModels

/// An `InputRecipe`, made ready to run for every picture.
package struct Preprocessor: Sendable {
    package let recipe: InputRecipe
    /// Whether JPEGs are decoded at a fraction of their size where they shrink by more: faster, with pixels that differ
    /// by a few levels from those of Pillow.
    package let reducesWhileDecoding: Bool
    /// What each of 256 levels becomes, shape `[channels, 256]`, channels in the recipe's order.
    private let tables: [Float]

    /// - Throws: `PictureError` for a recipe that cannot be followed.
    package init(_ recipe: InputRecipe, reducesWhileDecoding: Bool = false) throws {
        try Self.check(recipe)
        self.recipe = recipe
        self.reducesWhileDecoding = reducesWhileDecoding
        // Scaled, then shifted, then divided, each rounded to a float: the steps of torch and Keras, so their numbers.
        tables = (0..<recipe.channels).flatMap { channel in
            let (mean, deviation) = (Float(recipe.mean[channel]), Float(recipe.standardDeviation[channel]))
            return (0..<256).map { level in (Float(Double(level) * recipe.scale) - mean) / deviation }
        }
    }

    private static func check(_ recipe: InputRecipe) throws {
        guard (1...16384).contains(recipe.width), (1...16384).contains(recipe.height) else {
            throw PictureError.badRecipe("a size of \(recipe.width) × \(recipe.height)", expected: "1 to 16384 a side")
        }
        guard recipe.channels == 1 || recipe.channels == 3 else {
            throw PictureError.badRecipe("\(recipe.channels) channels", expected: "1 or 3")
        }
        guard recipe.mean.count == recipe.channels, recipe.standardDeviation.count == recipe.channels else {
            throw PictureError.badRecipe(
                "\(recipe.mean.count) means and \(recipe.standardDeviation.count) standard deviations",
                expected: "\(recipe.channels) of each, one a channel")
        }
        guard (recipe.mean + recipe.standardDeviation + [recipe.scale]).allSatisfy(\.isFinite),
            recipe.standardDeviation.allSatisfy({ $0 > 0 })
        else { throw PictureError.badRecipe("a scaling that is no number", expected: "finite, positive deviations") }
        guard recipe.resizeRatio > 0, recipe.resizeRatio <= 64 else {
            throw PictureError.badRecipe("a resize ratio of \(recipe.resizeRatio)", expected: "up to 64")
        }
    }

    /// Brings a picture to the network's size and channels; levels stay 0…255.
    ///
    /// - Returns: A picture of exactly the recipe's width, height and channels, red first.
    package func crop(_ picture: Picture) -> Picture {
        crop(picture, of: (picture.width, picture.height))
    }

    /// Decodes a picture and brings it to the network's size and channels.
    ///
    /// - Throws: `PictureError` for anything that is not a whole picture.
    package func crop(decoding bytes: [UInt8]) throws -> Picture {
        let (picture, width, height) = try bytes.withUnsafeBytes {
            try Picture.decode($0, exif: recipe.exif) { reducesWhileDecoding ? reduction(width: $0, height: $1) : 1 }
        }
        return crop(picture, of: (width, height))
    }

    /// By how much a picture may be smaller in each direction and still hold `margin` times what the network is shown.
    private func reduction(width: Int, height: Int) -> Int {
        guard recipe.interpolation != .nearest else { return 1 }
        let placement = Placement(width, height, in: recipe)
        let room = min(
            Double(width) / Double(placement.horizontal.resized), Double(height) / Double(placement.vertical.resized))
        return [8, 4, 2].first { room >= Double($0) * Self.margin } ?? 1
    }

    /// Pixels that a reduced picture must have for each that it becomes, in each direction: with less, features of some
    /// photographs leave those of the full picture by more than their precision does.
    private static let margin = 2.0

    /// - Parameter size: Of the picture in its file, where it was decoded at a fraction of it.
    private func crop(_ picture: Picture, of size: (width: Int, height: Int)) -> Picture {
        let placement = Placement(size.width, size.height, in: recipe)
        let source = recipe.channels == 1 ? picture.gray : picture
        let (horizontal, vertical) = (placement.horizontal, placement.vertical)
        let part = source.resized(
            width: horizontal.resized, height: vertical.resized, interpolation: recipe.interpolation,
            columns: horizontal.kept, rows: vertical.kept)
        let filled = part.onBlack(
            width: recipe.width, height: recipe.height, left: horizontal.offset, top: vertical.offset)
        return recipe.channels == 3 ? filled.color : filled
    }

    /// Scales a picture that `crop` made into a network's input.
    ///
    /// - Parameter output: Shape `[height, width, channels]`, channels in the recipe's order.
    package func write(_ crop: Picture, into output: UnsafeMutableBufferPointer<Float>) {
        let channels = recipe.channels
        precondition(
            crop.width == recipe.width && crop.height == recipe.height && crop.channels == channels
                && output.count == crop.bytes.count,
            "a crop of \(crop.width) × \(crop.height) × \(crop.channels) for \(output.count) numbers")
        crop.bytes.withUnsafeBufferPointer { levels in
            tables.withUnsafeBufferPointer { tables in
                guard channels == 3 else {
                    for index in levels.indices { output[index] = tables[Int(levels[index])] }
                    return
                }
                let (red, blue) = recipe.order == .rgb ? (0, 2) : (2, 0)
                for pixel in stride(from: 0, to: levels.count, by: 3) {
                    output[pixel] = tables[Int(levels[pixel &+ red])]
                    output[pixel &+ 1] = tables[256 &+ Int(levels[pixel &+ 1])]
                    output[pixel &+ 2] = tables[512 &+ Int(levels[pixel &+ blue])]
                }
            }
        }
    }
}

/// Where a resized picture goes in the network's input.
private struct Placement {
    /// One axis: the whole picture becomes `resized` long, the pixels `kept` of it start at `offset` of the input.
    struct Axis {
        var resized: Int
        var kept: Range<Int>
        var offset = 0
    }

    let horizontal: Axis
    let vertical: Axis

    init(_ width: Int, _ height: Int, in recipe: InputRecipe) {
        switch recipe.fit {
        case .squash:
            horizontal = Axis(resized: recipe.width, kept: 0..<recipe.width)
            vertical = Axis(resized: recipe.height, kept: 0..<recipe.height)
        case .crop:
            // Both sides must cover; the one that only just does is exact and the other truncated, as in torchvision.
            let (wide, high) = (Self.target(recipe.width, recipe), Self.target(recipe.height, recipe))
            let isWidthTight = wide * height >= high * width
            horizontal = Self.centered(isWidthTight ? wide : high * width / height, in: recipe.width)
            vertical = Self.centered(isWidthTight ? wide * height / width : high, in: recipe.height)
        case .pad:
            let isWidthTight = width * recipe.height >= height * recipe.width
            let fittedWidth = Double(width) / Double(height) * Double(recipe.height)
            let fittedHeight = Double(height) / Double(width) * Double(recipe.width)
            horizontal = Self.padded(isWidthTight ? recipe.width : Self.side(fittedWidth), in: recipe.width)
            vertical = Self.padded(isWidthTight ? Self.side(fittedHeight) : recipe.height, in: recipe.height)
        }
    }

    /// What a side of the input is before the crop. A ratio such as 256/224 is not exact in binary; nothing else
    /// comes within a millionth of the next whole number.
    private static func target(_ side: Int, _ recipe: InputRecipe) -> Int {
        max(1, Int(recipe.resizeRatio * Double(side) + 1e-6))
    }

    private static func side(_ length: Double) -> Int { max(1, Int(length.rounded(.toNearestOrEven))) }

    /// torchvision's `CenterCrop`: halves are rounded to even; what is smaller than the crop is set on black, whose
    /// odd pixel goes last.
    private static func centered(_ resized: Int, in side: Int) -> Axis {
        guard resized >= side else { return Axis(resized: resized, kept: 0..<resized, offset: (side - resized) / 2) }
        let start = Int((Double(resized - side) / 2).rounded(.toNearestOrEven))
        return Axis(resized: resized, kept: start..<start + side)
    }

    /// Pillow's `ImageOps.pad`.
    private static func padded(_ resized: Int, in side: Int) -> Axis {
        let offset = Int((Double(side - resized) / 2).rounded(.toNearestOrEven))
        return Axis(resized: resized, kept: 0..<resized, offset: offset)
    }
}

extension Picture {
    /// The picture on a black one of the given size.
    fileprivate func onBlack(width: Int, height: Int, left: Int, top: Int) -> Picture {
        if width == self.width, height == self.height { return self }
        var canvas = [UInt8](repeating: 0, count: width * height * channels)
        for y in 0..<self.height {
            let source = y * self.width * channels
            let target = ((y + top) * width + left) * channels
            canvas.replaceSubrange(
                target..<target + self.width * channels, with: bytes[source..<source + self.width * channels])
        }
        return Picture(width: width, height: height, channels: channels, bytes: canvas)
    }
}
