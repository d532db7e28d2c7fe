// What the tensors of a file look like: statistics of each, and what no trained network has.

internal import FinetuneEngine
internal import FinetuneFiles

/// The numbers of one tensor in short.
package struct TensorSummary: Sendable {
    package let name: String
    package let shape: [Int]
    /// The type in the file, such as `float16`.
    package let type: String
    /// Over the numbers that are finite; 0 where none is.
    package let minimum: Double
    package let maximum: Double
    package let mean: Double
    package let standardDeviation: Double
    package let notANumber: Int
    package let infinite: Int
    fileprivate let hash: ContentHash

    fileprivate var isZero: Bool { minimum == 0 && maximum == 0 && notANumber + infinite == 0 }
    fileprivate var isConstant: Bool { minimum == maximum }

    init(name: String, entry: NamedArrays.Entry) {
        self.name = name
        shape = entry.tensor.shape
        type = entry.type
        var moments = Moments()
        hash = entry.tensor.withSpan { values in
            for start in stride(from: 0, to: values.count, by: 4096) {
                moments.add(values.extracting(start..<min(start + 4096, values.count)))
            }
            return ContentHash(of: values.bytes)
        }
        let finite = Double(moments.finite)
        (notANumber, infinite) = (moments.notANumber, moments.infinite)
        minimum = moments.finite > 0 ? Double(moments.minimum) : 0
        maximum = moments.finite > 0 ? Double(moments.maximum) : 0
        let mean = moments.sum / max(finite, 1)
        self.mean = mean
        standardDeviation = max(moments.squares / max(finite, 1) - mean * mean, 0).squareRoot()
    }

    /// Summaries of all tensors, in the order of their names.
    package static func all(_ arrays: NamedArrays) -> [TensorSummary] {
        arrays.arrays.sorted { $0.key < $1.key }.map { TensorSummary(name: $0.key, entry: $0.value) }
    }

    /// What is wrong with tensors, or at least odd, in sentences.
    ///
    /// Zeros are usual in biases and means, so only filters, matrices and variances of zeros are named; constants are
    /// usual before training, and biases that are added to each other learn the same, so neither are duplicates.
    package static func warnings(_ tensors: [TensorSummary]) -> [String] {
        var warnings: [String] = []
        func warn(_ names: [String], _ words: String) {
            guard !names.isEmpty else { return }
            let shown = names.prefix(4).map { "'\($0)'" }.joined(separator: ", ")
            warnings.append("\(shown)\(names.count > 4 ? " and \(names.count - 4) more" : "") \(words).")
        }
        for tensor in tensors where tensor.notANumber > 0 {
            let count = tensor.notANumber
            warnings.append("'\(tensor.name)' holds \(count) value\(count == 1 ? "" : "s") not a number (NaN).")
        }
        for tensor in tensors where tensor.infinite > 0 {
            let count = tensor.infinite
            warnings.append("'\(tensor.name)' holds \(count) infinite value\(count == 1 ? "" : "s").")
        }
        for tensor in tensors where max(abs(tensor.minimum), abs(tensor.maximum)) > 1e10 {
            warnings.append(
                "'\(tensor.name)' holds values up to \(max(abs(tensor.minimum), abs(tensor.maximum))); features will probably overflow."
            )
        }
        let zeros = tensors.filter { tensor in
            tensor.isZero
                && (tensor.shape.count > 1 || ["running_var", "moving_variance"].contains { tensor.name.contains($0) })
        }
        warn(zeros.map(\.name), zeros.count == 1 ? "is all zeros" : "are all zeros")
        var byHash: [ContentHash: [TensorSummary]] = [:]
        for tensor in tensors where tensor.shape.count > 1 && !tensor.isConstant {
            byHash[tensor.hash, default: []].append(tensor)
        }
        let groups = byHash.values.filter { $0.count > 1 }.sorted { $0[0].name < $1[0].name }
        if groups.count > 3 {
            // Copies of a whole network, such as a teacher before it was taught.
            warn(groups[0].map(\.name), "hold the same numbers, and so do \(groups.count - 1) more groups of tensors")
        } else {
            for group in groups { warn(group.map(\.name), "hold the same numbers") }
        }
        return warnings
    }
}

private struct Moments {
    var minimum = Float.infinity
    var maximum = -Float.infinity
    var sum = 0.0
    var squares = 0.0
    var finite = 0
    var notANumber = 0
    var infinite = 0

    /// Adds a block, in lanes that are added up in double precision.
    mutating func add(_ values: Span<Float>) {
        var (low, high) = (SIMD8<Float>(repeating: .infinity), SIMD8<Float>(repeating: -.infinity))
        var (sums, squares) = (SIMD8<Float>.zero, SIMD8<Float>.zero)
        var checks = SIMD8<Float>.zero
        let whole = values.count / 8 * 8
        for index in stride(from: 0, to: whole, by: 8) {
            let lanes = values.bytes.unsafeLoadUnaligned(fromByteOffset: index * 4, as: SIMD8<Float>.self)
            low.replace(with: lanes, where: lanes .< low)
            high.replace(with: lanes, where: lanes .> high)
            sums += lanes
            squares += lanes * lanes
            checks += lanes * 0  // Not a number as soon as one is not finite.
        }
        guard checks.sum() == 0, squares.sum().isFinite else {
            for index in values.indices { addOne(values[index]) }
            return
        }
        minimum = Float.minimum(minimum, low.min())
        maximum = Float.maximum(maximum, high.max())
        for lane in 0..<8 {
            sum += Double(sums[lane])
            self.squares += Double(squares[lane])
        }
        finite += whole
        for index in whole..<values.count { addOne(values[index]) }
    }

    private mutating func addOne(_ value: Float) {
        guard value.isFinite else {
            if value.isNaN { notANumber += 1 } else { infinite += 1 }
            return
        }
        minimum = min(minimum, value)
        maximum = max(maximum, value)
        sum += Double(value)
        squares += Double(value) * Double(value)
        finite += 1
    }
}
