// The weights of a resize, with the exact numbers of Pillow (`Resample.c`): windows that widen when a picture shrinks,
// weights normalised in double precision, then rounded to 22 binary places.

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

    /// The input pixels that are needed at all.
    var inputRange: Range<Int> {
        let low = starts.min() ?? 0
        let high = zip(starts, counts).map { $0 + $1 }.max() ?? low
        return low..<high
    }

    /// - Parameters:
    ///   - inputSize: Pixels of the axis.
    ///   - outputSize: Pixels that the whole axis becomes.
    ///   - range: The output pixels that are wanted, within `0..<outputSize`.
    init(inputSize: Int, outputSize: Int, range: Range<Int>, filter: ResamplingFilter) {
        let scale = Double(inputSize) / Double(outputSize)
        let filterScale = max(scale, 1)
        let support = filter.support * filterScale
        let step = 1 / filterScale
        var window: [Double] = []
        for position in range {
            let center = (Double(position) + 0.5) * scale
            let low = max(0, Int(center - support + 0.5))
            let high = min(inputSize, Int(center + support + 0.5))
            window.removeAll(keepingCapacity: true)
            var sum = 0.0
            for pixel in low..<high {
                let weight = filter.weight((Double(pixel) - center + 0.5) * step)
                window.append(weight)
                sum += weight
            }
            starts.append(low)
            counts.append(high - low)
            offsets.append(weights.count)
            for weight in window {
                let fixed = (sum == 0 ? weight : weight / sum) * Double(1 << Self.precision)
                weights.append(Int32(fixed < 0 ? fixed - 0.5 : fixed + 0.5))
            }
        }
    }
}

/// A filter of Pillow's, over a distance in input pixels.
enum ResamplingFilter {
    case triangle, cubic

    var support: Double { self == .triangle ? 1 : 2 }

    func weight(_ distance: Double) -> Double {
        let x = abs(distance)
        switch self {
        case .triangle:
            return x < 1 ? 1 - x : 0
        case .cubic:
            // Keys' cubic, with a = −0.5.
            let a = -0.5
            if x < 1 { return ((a + 2) * x - (a + 3)) * x * x + 1 }
            if x < 2 { return (((x - 5) * x + 8) * x - 4) * a }
            return 0
        }
    }
}
