// From a decoded picture to a network's input: the geometry that `Placement.swift` computes, then one table look-up a
// number.

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

    /// Which range of 16-bit pictures counts.
    package var depth: PictureDepth { PictureDepth(bits: recipe.depth) }

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
        guard (1...InputRecipe.fullDepth).contains(recipe.depth) else {
            throw PictureError.badRecipe("a depth of \(recipe.depth) bits", expected: "1 to 16")
        }
        guard recipe.fill.count == 1 || recipe.fill.count == recipe.channels else {
            throw PictureError.badRecipe("\(recipe.fill.count) levels of the border", expected: "one, or one a channel")
        }
    }

    /// Brings a picture to the network's size and channels; levels stay 0…255.
    ///
    /// - Returns: A picture of exactly the recipe's width, height and channels, red first.
    package func crop(_ picture: Picture) -> Picture {
        crop(picture, of: (picture.width, picture.height))
    }

    /// Decodes a picture and brings it to the network's size and channels. The result knows the picture's `highest`.
    ///
    /// - Throws: `PictureError` for anything that is not a whole picture.
    package func crop(decoding bytes: [UInt8]) throws -> Picture {
        let (picture, width, height) = try bytes.withUnsafeBytes {
            try Picture.decode($0, exif: recipe.exif, depth: depth) {
                reducesWhileDecoding ? reduction(width: $0, height: $1) : 1
            }
        }
        var result = crop(picture, of: (width, height))
        result.highest = picture.highest
        return result
    }

    /// By how much a picture may be smaller in each direction and still hold `margin` times what the network is shown.
    ///
    /// Always 1 where single pixels count: those that the filter takes, or those at the edge of a window.
    private func reduction(width: Int, height: Int) -> Int {
        guard recipe.interpolation != .nearest, recipe.antialias else { return 1 }
        let placement = Placement(width, height, in: recipe)
        let (horizontal, vertical) = (placement.horizontal.resize, placement.vertical.resize)
        guard horizontal.window == nil, vertical.window == nil else { return 1 }
        let room = min(Double(width) / Double(horizontal.length), Double(height) / Double(vertical.length))
        return [8, 4, 2].first { room >= Double($0) * Self.margin } ?? 1
    }

    /// Pixels that a reduced picture must have for each that it becomes, in each direction: with less, features of some
    /// photographs leave those of the full picture by more than their precision does.
    private static let margin = 2.0

    /// - Parameter size: Of the picture in its file, where it was decoded at a fraction of it.
    private func crop(_ picture: Picture, of size: (width: Int, height: Int)) -> Picture {
        let placement = Placement(size.width, size.height, in: recipe)
        // Gray stays gray for as long as it can: it costs a third.
        let source = recipe.channels == 1 ? picture.gray : recipe.fill.count == 1 ? picture : picture.color
        let part = source.resized(
            placement.horizontal.resize, placement.vertical.resize, interpolation: recipe.interpolation,
            antialias: recipe.antialias, fill: recipe.fill, rules: recipe.rules)
        let whole = part.framed(
            width: recipe.width, height: recipe.height, left: placement.horizontal.offset,
            top: placement.vertical.offset, fill: recipe.fill)
        return recipe.channels == 3 ? whole.color : whole
    }

    /// Scales a picture that `crop` made into a network's input.
    ///
    /// - Parameter output: Shape `[height, width, channels]`, channels in the recipe's order.
    package func write(_ crop: Picture, into output: inout MutableSpan<Float>) {
        output.withUnsafeMutableBufferPointer { output in
            crop.bytes.withUnsafeBufferPointer { levels in
                tables.withUnsafeBufferPointer { write(crop, levels, $0, into: output) }
            }
        }
    }

    private func write(
        _ crop: Picture, _ levels: UnsafeBufferPointer<UInt8>, _ tables: UnsafeBufferPointer<Float>,
        into output: UnsafeMutableBufferPointer<Float>
    ) {
        let channels = recipe.channels
        precondition(
            crop.width == recipe.width && crop.height == recipe.height && crop.channels == channels
                && output.count == levels.count,
            "a crop of \(crop.width) × \(crop.height) × \(crop.channels) for \(output.count) numbers")
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

extension Picture {
    /// The picture on one of the given size and the levels `fill`.
    fileprivate func framed(width: Int, height: Int, left: Int, top: Int, fill: [UInt8]) -> Picture {
        if width == self.width, height == self.height { return self }
        var canvas = [UInt8](repeating: fill[0], count: width * height * channels)
        if fill.count > 1 { for index in canvas.indices { canvas[index] = fill[index % channels] } }
        for y in 0..<self.height {
            let source = y * self.width * channels
            let target = ((y + top) * width + left) * channels
            canvas.replaceSubrange(
                target..<target + self.width * channels, with: bytes[source..<source + self.width * channels])
        }
        return Picture(width: width, height: height, channels: channels, bytes: canvas)
    }
}
