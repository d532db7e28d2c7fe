// Saturation, sharpness and hue, with the numbers of Pillow's `ImageEnhance` and of torchvision's `adjust_hue` on its
// HSV pictures. A gray picture has no color to change.

extension Picture {
    /// The picture with stronger or weaker colors: gray at 0, unchanged at 1. Pillow's `ImageEnhance.Color`.
    package func withSaturation(_ factor: Double) -> Picture {
        guard channels == 3 else { return self }
        let (shades, factor) = (gray.bytes, Float(factor))
        return made { pixels, out in
            shades.withUnsafeBufferPointer { shades in
                var pixel = 0
                for shade in shades {
                    out[pixel] = Self.mixed(shade, pixels[pixel], factor)
                    out[pixel &+ 1] = Self.mixed(shade, pixels[pixel &+ 1], factor)
                    out[pixel &+ 2] = Self.mixed(shade, pixels[pixel &+ 2], factor)
                    pixel &+= 3
                }
            }
        }
    }

    /// The picture sharper or smoother: unchanged at 1, at 0 each pixel the mean of its neighborhood, in which it
    /// counts five times. Pillow's `ImageEnhance.Sharpness`, which leaves the edges alone.
    package func withSharpness(_ factor: Double) -> Picture {
        guard width > 2, height > 2 else { return self }
        let (factor, step, line) = (Float(factor), channels, width * channels)
        return made { pixels, out in
            out.update(from: pixels, count: bytes.count)
            for row in 1..<height - 1 {
                for index in row * line + step..<(row + 1) * line - step {
                    let pixel = pixels + index
                    func three(_ middle: UnsafePointer<UInt8>) -> Int32 {
                        Int32((middle - step).pointee) &+ Int32(middle.pointee) &+ Int32((middle + step).pointee)
                    }
                    let sum = three(pixel - line) &+ three(pixel) &+ three(pixel + line) &+ 4 &* Int32(pixel.pointee)
                    // A thirteenth, rounded.
                    let smooth = UInt8(truncatingIfNeeded: (2 &* sum &+ 13) / 26)
                    out[index] = Self.mixed(smooth, pixel.pointee, factor)
                }
            }
        }
    }

    /// The picture with its colors moved on around the circle of hues. torchvision's `adjust_hue` of a PIL image.
    ///
    /// - Parameter turns: −0.5 to 0.5 of the circle; rounded towards 0 to 255ths.
    package func withHue(turned turns: Double) -> Picture {
        guard channels == 3 else { return self }
        let shift = UInt8(truncatingIfNeeded: Int(turns * 255))
        return made { pixels, out in
            for pixel in stride(from: 0, to: bytes.count, by: 3) {
                var color = HSVColor(red: pixels[pixel], green: pixels[pixel &+ 1], blue: pixels[pixel &+ 2])
                color.hue &+= shift
                (out[pixel], out[pixel &+ 1], out[pixel &+ 2]) = color.rgb
            }
        }
    }
}

/// Hue, saturation and value of a color in 8 bits each, as in Pillow's mode HSV; its roundings are kept.
struct HSVColor: Equatable {
    var hue: UInt8
    var saturation: UInt8
    var value: UInt8

    @inline(__always)
    init(red: UInt8, green: UInt8, blue: UInt8) {
        value = max(red, green, blue)
        let range = value &- min(red, green, blue)
        guard range > 0 else {
            (hue, saturation) = (0, 0)
            return
        }
        saturation = UInt8(Double(Float(range) / Float(value)) * 255)
        let top = value
        func share(_ level: UInt8) -> Float { Float(top &- level) / Float(range) }
        // In sixths of the circle, from red on.
        let sixths =
            if red == value {
                share(blue) - share(green)
            } else if green == value {
                Float(2 + Double(share(red)) - Double(share(blue)))
            } else {
                Float(4 + Double(share(green)) - Double(share(red)))
            }
        let turns = Double(sixths) / 6 + 1
        hue = UInt8(Double(Float(turns < 1 ? turns : turns - 1)) * 255)
    }

    @inline(__always)
    var rgb: (UInt8, UInt8, UInt8) {
        guard saturation > 0 else { return (value, value, value) }
        let sixths = Double(hue) * 6 / 255
        let sector = Int(sixths)
        let (part, strength) = (Float(sixths - Double(sector)), Float(Double(saturation) / 255))
        let top = Double(value)
        func level(_ weakening: Double) -> UInt8 { UInt8(top * (1 - weakening) + 0.5) }
        let low = level(Double(strength))
        let falling = level(Double(strength * part))
        let rising = level(Double(strength) * (1 - Double(part)))
        return switch sector {
        case 1: (falling, value, low)
        case 2: (low, value, rising)
        case 3: (low, falling, value)
        case 4: (rising, low, value)
        case 5: (value, low, falling)
        default: (value, rising, low)
        }
    }
}
