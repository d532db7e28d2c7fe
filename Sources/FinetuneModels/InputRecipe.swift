// How pixels become numbers. The base decides it; it is saved in the model; there is no other way.

/// The size, geometry, channel order and scaling that a network wants its images in.
///
/// A pixel `v` of channel `c` becomes `(v · scale − mean[c]) / standardDeviation[c]`, channels in `order`.
package struct InputRecipe: Sendable, Equatable {
    package enum Order: String, Sendable { case rgb, bgr }
    /// Resampling filters with Pillow's numbers: antialiased but for `nearest`.
    package enum Interpolation: String, Sendable, CaseIterable { case nearest, bilinear, bicubic }
    /// How an image of any shape fits the network's: `crop` the middle, `squash` the sides, `pad` the short side.
    package enum Fit: String, Sendable, CaseIterable { case crop, squash, pad }
    /// Whether the orientation in a photograph's EXIF data is applied.
    package enum Exif: String, Sendable, CaseIterable { case upright, ignore }

    /// Pixels of the network's input.
    package var height: Int
    package var width: Int
    /// 3, or 1 for gray.
    package var channels: Int
    package var order: Order
    package var scale: Double
    /// One number a channel, in `order`, after scaling.
    package var mean: [Double]
    package var standardDeviation: [Double]
    package var interpolation: Interpolation
    package var fit: Fit
    /// With `crop`: the short side before the middle is cut out, as a multiple of the input's (torchvision: 256/224).
    package var resizeRatio: Double
    package var exif: Exif

    package init(
        height: Int, width: Int, channels: Int = 3, pixels: Pixels, interpolation: Interpolation = .bilinear,
        fit: Fit = .crop, resizeRatio: Double = 1, exif: Exif = .upright
    ) {
        self.height = height
        self.width = width
        self.channels = channels
        (order, scale, mean, standardDeviation) = (pixels.order, pixels.scale, pixels.mean, pixels.standardDeviation)
        self.interpolation = interpolation
        self.fit = fit
        self.resizeRatio = resizeRatio
        self.exif = exif
    }

    /// The same geometry with other pixels.
    package func with(_ pixels: Pixels) -> InputRecipe {
        var recipe = self
        (recipe.order, recipe.scale, recipe.mean) = (pixels.order, pixels.scale, pixels.mean)
        recipe.standardDeviation = pixels.standardDeviation
        return recipe
    }

    /// The same for an input of another size and nearly the same shape.
    package func resized(shortSide: Int) -> InputRecipe {
        var recipe = self
        let scale = Double(shortSide) / Double(min(height, width))
        recipe.height = max(1, Int((Double(height) * scale).rounded()))
        recipe.width = max(1, Int((Double(width) * scale).rounded()))
        return recipe
    }

    package var pixels: Pixels {
        Pixels(order: order, scale: scale, mean: mean, standardDeviation: standardDeviation)
    }

    /// The part of a recipe that turns a pixel into numbers, with the names that the field gives it.
    package struct Pixels: Sendable, Equatable {
        package var order: Order
        package var scale: Double
        package var mean: [Double]
        package var standardDeviation: [Double]

        package init(order: Order, scale: Double, mean: [Double], standardDeviation: [Double]) {
            self.order = order
            self.scale = scale
            self.mean = mean
            self.standardDeviation = standardDeviation
        }

        /// RGB/255 − ImageNet mean, / ImageNet standard deviation: torchvision, timm, CIFAR ResNets.
        package static let torch = Pixels(
            order: .rgb, scale: 1 / 255, mean: [0.485, 0.456, 0.406], standardDeviation: [0.229, 0.224, 0.225])
        /// BGR − ImageNet mean in 0…255: Keras ResNet v1.
        package static let caffe = Pixels(
            order: .bgr, scale: 1, mean: [103.939, 116.779, 123.68], standardDeviation: [1, 1, 1])
        /// RGB/127.5 − 1: Keras ResNet V2.
        package static let tf = Pixels(
            order: .rgb, scale: 1 / 127.5, mean: [1, 1, 1], standardDeviation: [1, 1, 1])
        /// RGB/255.
        package static let unit = Pixels(
            order: .rgb, scale: 1 / 255, mean: [0, 0, 0], standardDeviation: [1, 1, 1])
        /// RGB 0…255, untouched.
        package static let raw = Pixels(order: .rgb, scale: 1, mean: [0, 0, 0], standardDeviation: [1, 1, 1])

        /// Whether all channels are treated alike.
        package var isEven: Bool {
            order == .rgb && mean.allSatisfy { $0 == mean[0] }
                && standardDeviation.allSatisfy { $0 == standardDeviation[0] }
        }

        /// The recipe for a number of channels: gray images take the mean of the three.
        package func spread(over channels: Int) -> Pixels {
            guard channels == 1, mean.count > 1 else { return self }
            func middle(_ values: [Double]) -> [Double] {
                [isEven ? values[0] : values.reduce(0, +) / Double(values.count)]
            }
            return Pixels(
                order: .rgb, scale: scale, mean: middle(mean), standardDeviation: middle(standardDeviation))
        }

        /// The named recipes of `--recipe`.
        package static let named: [(name: String, pixels: Pixels)] = [
            ("torch", .torch), ("caffe", .caffe), ("tf", .tf), ("unit", .unit), ("raw", .raw),
        ]
    }
}
