// The weights of a resize, with the exact numbers of Pillow (`Resample.c`): filters that widen when a picture shrinks,
// weights normalised in double precision, then rounded to 22 binary places.

internal import Glibc

/// One axis of a resize.
struct ResizedAxis {
    /// The source pixels that are resized; beyond the source's own lies its border. Nil for the whole source.
    var window: Range<Int>?
    /// What the window becomes, in pixels.
    var length: Int
    /// The pixels that are wanted, within `0..<length`.
    var kept: Range<Int>

    /// The source pixels that are the kept ones, if nothing is resized; nil if pixels have to be computed.
    func copied(from side: Int) -> Range<Int>? {
        let window = window ?? 0..<side
        guard window.count == length, window.lowerBound >= 0, window.upperBound <= side else { return nil }
        return window.lowerBound + kept.lowerBound..<window.lowerBound + kept.upperBound
    }
}

/// Which input pixels make each output pixel along one axis, and with what weights.
struct ResamplingWeights {
    /// Binary places of a weight: 8 bits of pixel and 2 of headroom leave 22 of 32.
    static let precision: Int32 = 22

    /// The first input pixel of each output pixel.
    private(set) var starts: [Int] = []
    /// How many input pixels each output pixel takes.
    private(set) var counts: [Int] = []
    /// Where the weights of each output pixel begin in `weights`.
    private(set) var offsets: [Int] = []
    private(set) var weights: [Int32] = []
    /// The weight of the border beyond the source in each output pixel.
    private(set) var borders: [Int32] = []

    /// The input pixels that are needed at all.
    var inputRange: Range<Int> {
        let low = starts.min() ?? 0
        let high = zip(starts, counts).map { $0 + $1 }.max() ?? low
        return low..<high
    }

    /// - Parameters:
    ///   - inputSize: Pixels of the source's axis.
    ///   - antialias: Whether the filter widens when the axis shrinks.
    init(_ axis: ResizedAxis, inputSize: Int, filter: ResamplingFilter, antialias: Bool = true) {
        let window = axis.window ?? 0..<inputSize
        let scale = Double(window.count) / Double(axis.length)
        let filterScale = antialias ? max(scale, 1) : 1
        let support = filter.support * filterScale
        let step = 1 / filterScale
        var taps: [Double] = []
        for position in axis.kept {
            let center = (Double(position) + 0.5) * scale
            let low = max(0, Int(center - support + 0.5))
            let high = min(window.count, Int(center + support + 0.5))
            taps.removeAll(keepingCapacity: true)
            var sum = 0.0
            for pixel in low..<high {
                let weight = filter.weight((Double(pixel) - center + 0.5) * step)
                taps.append(weight)
                sum += weight
            }
            let pixels = (window.lowerBound + low..<window.lowerBound + high).clamped(to: 0..<inputSize)
            starts.append(pixels.lowerBound)
            counts.append(pixels.count)
            offsets.append(weights.count)
            var border: Int32 = 0
            for (pixel, weight) in zip((window.lowerBound + low)..., taps) {
                let scaled = (sum == 0 ? weight : weight / sum) * Double(1 << Self.precision)
                let fixed = Int32(scaled < 0 ? scaled - 0.5 : scaled + 0.5)
                if pixels.contains(pixel) { weights.append(fixed) } else { border += fixed }
            }
            borders.append(border)
        }
    }
}

/// A filter of Pillow's, over a distance in input pixels.
enum ResamplingFilter {
    case box, triangle, hamming, cubic, lanczos

    var support: Double {
        switch self {
        case .box: 0.5
        case .triangle, .hamming: 1
        case .cubic: 2
        case .lanczos: 3
        }
    }

    func weight(_ distance: Double) -> Double {
        let x = abs(distance)
        switch self {
        case .box:
            return distance > -0.5 && distance <= 0.5 ? 1 : 0
        case .triangle:
            return x < 1 ? 1 - x : 0
        case .hamming:
            // The two numbers are floats in Pillow.
            return x < 1 ? Self.sinc(x) * (Double(Float(0.54)) + Double(Float(0.46)) * cos(x * .pi)) : 0
        case .cubic:
            // Keys' cubic, with a = −0.5.
            let a = -0.5
            if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
            if x < 2 { return (((x - 5) * x + 8) * x - 4) * a }
            return 0
        case .lanczos:
            return -3 <= distance && distance < 3 ? Self.sinc(distance) * Self.sinc(distance / 3) : 0
        }
    }

    private static func sinc(_ x: Double) -> Double { x == 0 ? 1 : sin(x * .pi) / (x * .pi) }
}
