// One change to a picture with its strength: what augmentation draws, and the function that carries it out.

/// An operation on a whole picture that keeps its size.
///
/// Each has the numbers of torchvision's function of PIL images, named beside it.
package enum PictureOperation: Sendable, Equatable {
    /// `rotate`, against the clock.
    case rotate(degrees: Double)
    /// `affine` with this tangent of the angle, about the upper left corner.
    case shearX(Double)
    case shearY(Double)
    /// `affine`, in pixels to the right or down.
    case translateX(Int)
    case translateY(Int)
    /// `adjust_brightness` and the three after it: 1 changes nothing, 0 takes all of it away.
    case brightness(Double)
    case contrast(Double)
    case saturation(Double)
    case sharpness(Double)
    /// `adjust_hue`, as a part of the circle of colors, −0.5 to 0.5.
    case hue(turns: Double)
    /// `posterize`: 1 to 8 bits of each level stay.
    case posterize(bits: Int)
    /// `solarize`: levels from this one on are inverted.
    case solarize(from: Double)
    case autocontrast
    case equalize

    /// Some columns and rows of a picture.
    package struct Rectangle: Sendable, Equatable {
        package var columns: Range<Int>
        package var rows: Range<Int>
    }
}

extension Picture {
    /// The picture after an operation.
    package func applying(_ operation: PictureOperation) -> Picture {
        switch operation {
        case .rotate(let degrees): rotated(by: degrees)
        case .shearX(let slope): shearedX(by: slope)
        case .shearY(let slope): shearedY(by: slope)
        case .translateX(let pixels): translated(x: pixels, y: 0)
        case .translateY(let pixels): translated(x: 0, y: pixels)
        case .brightness(let factor): withBrightness(factor)
        case .contrast(let factor): withContrast(factor)
        case .saturation(let factor): withSaturation(factor)
        case .sharpness(let factor): withSharpness(factor)
        case .hue(let turns): withHue(turned: turns)
        case .posterize(let bits): posterized(bits: bits)
        case .solarize(let threshold): solarized(from: threshold)
        case .autocontrast: autocontrasted
        case .equalize: equalized
        }
    }
}
