// How pixels become numbers. The base decides it; it is saved in the model; there is no other way.

/// The size, geometry, channel order and scaling that a network wants its images in.
///
/// A pixel `v` of channel `c` becomes `(v · scale − mean[c]) / standardDeviation[c]`, channels in `order`.
package struct InputRecipe: Sendable, Equatable {
    package enum Order: String, Sendable { case rgb, bgr }
    /// Resampling filters with Pillow's numbers; levels are cut off at 0 and 255 after each of the two passes.
    ///
    /// `nearest` is the half-pixel rule of all libraries: pixel `i` of `n` comes from `(i + 0.5) · side / n`, rounded
    /// down. If that lies exactly between two pixels, rounding decides. The rules `keras` and `transformers` compute in
    /// single precision, as TensorFlow's half-pixel `nearest` and torch's `nearest-exact` do; the others add up as
    /// Pillow does.
    package enum Interpolation: String, Sendable, CaseIterable {
        case nearest, box, bilinear, hamming, bicubic, lanczos
    }
    /// How an image of any shape fits the network's: `crop` the middle, `squash` the sides, `pad` the short side, or
    /// take the middle `unscaled`.
    package enum Fit: String, Sendable, CaseIterable { case crop, squash, pad, unscaled }
    /// The library whose arithmetic says what an image is resized to and which part of it is kept.
    package enum Rules: String, Sendable, CaseIterable {
        /// `crop` covers both sides of the input, `squash` and `pad` show the whole image whatever `resizeRatio` is.
        /// Same numbers as torchvision's `Resize(n)` and `CenterCrop` for square inputs, and as Pillow's `ImageOps.pad`.
        case standard
        /// `crop`: the short side of the image becomes that of the input times `resizeRatio`, for oblong inputs, too.
        case torchvision
        /// timm's `crop_mode`: `center` is `crop`, `squash` is `squash`, `border` is `pad`.
        case timm
        /// The image processors of transformers 5: as `torchvision`, but the middle is rounded down.
        case transformers
        /// Keras' `Resizing`: `crop_to_aspect_ratio` is `crop`, `pad_to_aspect_ratio` is `pad`, neither is `squash`. The
        /// original is cut or padded, then resized. `unscaled` is Keras' `CenterCrop`, which enlarges small images.
        case keras
    }
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
    /// The resized image before the middle is cut out, as a multiple of the input (torchvision: 256/224). Has no effect
    /// with `unscaled`; with the `standard` rules, it only affects `crop`.
    package var resizeRatio: Double
    package var exif: Exif
    /// Whether the filter widens when an image shrinks, so that every pixel counts; `nearest` never does.
    ///
    /// Pillow, torchvision, timm and transformers do; Keras' `Resizing` does not unless asked to. Without it, bicubic
    /// has the numbers of TensorFlow and JAX (Keys' cubic with a = −0.5, weights normalised at the borders). Keras on
    /// torch differs there: a = −0.75, borders repeated.
    package var antialias: Bool
    package var rules: Rules
    /// The levels of the border where the image does not cover the input: one, or one a channel, red first.
    package var fill: [UInt8]
    /// How many of the bits of 16-bit images hold their levels, 1 to 16; larger numbers are cut off. Other images have
    /// none to spare.
    package var depth = InputRecipe.fullDepth

    /// All bits of a 16-bit image.
    package static let fullDepth = 16

    package init(
        height: Int, width: Int, channels: Int = 3, pixels: Pixels, interpolation: Interpolation = .bilinear,
        fit: Fit = .crop, resizeRatio: Double = 1, exif: Exif = .upright, antialias: Bool = true,
        rules: Rules = .standard, fill: [UInt8] = [0]
    ) {
        self.height = height
        self.width = width
        self.channels = channels
        (order, scale, mean, standardDeviation) = (pixels.order, pixels.scale, pixels.mean, pixels.standardDeviation)
        self.interpolation = interpolation
        self.fit = fit
        self.resizeRatio = resizeRatio
        self.exif = exif
        self.antialias = antialias
        self.rules = rules
        self.fill = fill
    }

    /// How the source of a recipe begins that is part of the network itself.
    package static let ownSource = "the model's own "

    /// The same geometry with other pixels.
    package func with(_ pixels: Pixels) -> InputRecipe {
        var recipe = self
        (recipe.order, recipe.scale, recipe.mean) = (pixels.order, pixels.scale, pixels.mean)
        recipe.standardDeviation = pixels.standardDeviation
        return recipe
    }

    /// The same pixels with another fit, by the `standard` rules; unchanged if the fit is the same.
    package func with(_ fit: Fit) -> InputRecipe {
        guard fit != self.fit else { return self }
        var recipe = self
        (recipe.fit, recipe.rules) = (fit, .standard)
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
