// Whether the libraries compute right on this processor, told by plain loops: some builds of OpenBLAS and oneDNN do not,
// on processors that are newer than they are.

internal import CFinetuneBLAS
internal import CFinetuneDNNL
package import FinetuneFiles

/// One result of a library beside that of plain loops in double precision.
package struct SelfTest: Sendable {
    package enum Library: String, Sendable {
        case openBLAS = "OpenBLAS"
        case oneDNN
    }

    package let library: Library
    /// What was computed, in words.
    package let name: String
    /// The kernel that the library picked; empty where it does not say.
    package let kernel: String
    /// The largest difference, in parts of the largest number.
    package let error: Double
    /// What rounding makes of it at most.
    package let tolerance: Double

    package var passes: Bool { error <= tolerance }  // A result that is no number does not.

    /// The few that every training begins with: some milliseconds.
    package static func quick(_ thread: EngineThread) async throws -> [SelfTest] {
        try await [
            matrixProduct(.plain, 33, 65, 47), stack(side: 3, stride: 1, channels: 16, .fp32, thread),
            trainingStep(.fp32, thread),
        ]
    }

    /// Every kind of matrix product and convolution, in every precision that this processor has.
    package static func all(_ thread: EngineThread) async throws -> [SelfTest] {
        var tests = Product.allCases.flatMap { [matrixProduct($0, 33, 65, 47), matrixProduct($0, 256, 512, 300)] }
        for precision in Precision.allCases where precision.isNative {
            for (side, stride) in [(1, 1), (3, 1), (3, 2), (7, 2)] {
                tests.append(try await stack(side: side, stride: stride, channels: 64, precision, thread))
            }
            if precision.learns { tests.append(try await trainingStep(precision, thread)) }
        }
        return tests
    }

    /// The libraries that compute, with what they say of themselves.
    package static var libraries: [LibraryVersion] {
        [
            LibraryVersion("oneDNN", Machine.libraryVersion),
            LibraryVersion(
                "OpenBLAS",
                "\(String(cString: openblas_get_config())), kernels \(LinearAlgebra.kernels)"),
        ]
    }

    // MARK: Matrices

    private enum Product: String, CaseIterable {
        case plain = "a·b"
        case transposedSecond = "a·bᵀ"
        case transposedFirst = "aᵀ·b"
    }

    private static func matrixProduct(_ product: Product, _ rows: Int, _ inner: Int, _ columns: Int) -> SelfTest {
        let (a, b) = (numbers(rows * inner, stream: 1), numbers(inner * columns, stream: 2))
        var found = [Float](repeating: 0, count: rows * columns)
        switch product {
        case .plain:
            LinearAlgebra.multiplyPlain(a, b, rows: rows, inner: inner, columns: columns, into: &found)
        case .transposedSecond:
            LinearAlgebra.multiply(a, b, rows: rows, inner: inner, columns: columns, into: &found)
        case .transposedFirst:
            LinearAlgebra.multiplyTransposed(a, b, rows: inner, m: rows, n: columns, into: &found)
        }
        let expected = (0..<rows * columns).map { place in
            let (row, column) = (place / columns, place % columns)
            return (0..<inner).reduce(0.0) { sum, k in
                let first = product == .transposedFirst ? a[k * rows + row] : a[row * inner + k]
                let second = product == .transposedSecond ? b[column * inner + k] : b[k * columns + column]
                return sum + Double(first) * Double(second)
            }
        }
        return SelfTest(
            library: .openBLAS, name: "matrix product \(product.rawValue), \(rows)×\(inner)×\(columns)",
            kernel: LinearAlgebra.kernels, error: distance(found, expected), tolerance: 1e-5)
    }

    // MARK: Convolutions

    /// Two convolutions with a ReLU between them, as int8 wants them: integers are what a ReLU gave.
    private static func stack(side: Int, stride: Int, channels: Int, _ precision: Precision, _ thread: EngineThread)
        async throws -> SelfTest
    {
        let size = 14
        let (first, second) = (Window.square(1), Window.square(side, stride: stride, padding: side / 2))
        func convolution(_ window: Window) -> Operation {
            .convolution(Convolution(channels: channels, filters: channels, window: window, hasBias: true))
        }
        let network = Network(
            name: "self-test", inputChannels: channels,
            nodes: [
                Node("first", stage: "stem", convolution(first), inputs: [Node.image]),
                Node("relu", stage: "stem", .activation(.relu), inputs: ["first"]),
                Node("second", stage: "stage1", convolution(second), inputs: ["relu"]),
            ])
        func tensor(_ shape: [Int], _ stream: UInt64) -> Tensor {
            Tensor(shape: shape, values: numbers(shape.reduce(1, *), stream: stream))
        }
        let weights = [
            "first.weight": tensor([channels, channels, 1, 1], 3), "first.bias": tensor([channels], 4),
            "second.weight": tensor([channels, channels, side, side], 5), "second.bias": tensor([channels], 6),
        ]
        let image = tensor([1, size, size, channels], 7)
        let middle = Plain(image.values, size, channels).convolved(
            weights["first.weight"]?.values ?? [], weights["first.bias"]?.values ?? [], first
        ).rectified
        let range = Float(middle.values.max() ?? 1)
        let program = try await InferenceProgram(
            network, weights, output: "second", batch: 1, height: size, width: size, precision: precision,
            ranges: ["first": range, "relu": range], thread: thread)
        let result = try await program.run(image)
        let expected = middle.convolved(
            weights["second.weight"]?.values ?? [], weights["second.bias"]?.values ?? [], second)
        // The program gives channels first.
        let found = result.transposed([0, 2, 3, 1]).values
        let kernel = await program.kernels.last { $0.step == "second" }?.name ?? ""
        let tolerance =
            switch precision {
            case .fp32: 1e-4
            case .bf16: 0.02
            case .int8: 0.05
            }
        return SelfTest(
            library: .oneDNN,
            name: "convolution \(side)×\(side)\(stride > 1 ? " stride \(stride)" : "") in \(precision.rawValue)",
            kernel: kernel, error: distance(found, expected.values), tolerance: tolerance)
    }

    /// An image, channels last, and what plain loops make of it.
    struct Plain {
        let values: [Double]
        let size: Int
        let channels: Int

        init(_ values: [Float], _ size: Int, _ channels: Int) { self.init(values.map(Double.init), size, channels) }

        init(_ values: [Double], _ size: Int, _ channels: Int) {
            (self.values, self.size, self.channels) = (values, size, channels)
        }

        var rectified: Plain { Plain(values.map { max(0, $0) }, size, channels) }

        func convolved(_ weight: [Float], _ bias: [Float], _ window: Window) -> Plain {
            convolved(weight.map { Double($0) }, bias.map { Double($0) }, window)
        }

        func convolved(_ weight: [Double], _ bias: [Double], _ window: Window) -> Plain {
            let edges = window.edges(height: size, width: size)
            let out = window.output(height: size, width: size).height
            let side = window.height
            var result = [Double](repeating: 0, count: out * out * bias.count)
            for place in result.indices {
                let (filter, pixel) = (place % bias.count, place / bias.count)
                let (top, left) = (pixel / out * window.stride - edges.top, pixel % out * window.stride - edges.left)
                var sum = bias[filter]
                for row in max(0, -top)..<min(side, size - top) {
                    for column in max(0, -left)..<min(side, size - left) {
                        let source = ((top + row) * size + left + column) * channels
                        let tap = filter * channels * side * side + row * side + column
                        for channel in 0..<channels {
                            sum += values[source + channel] * weight[tap + channel * side * side]
                        }
                    }
                }
                result[place] = sum
            }
            return Plain(result, out, bias.count)
        }
    }

    // MARK: Numbers

    /// Numbers in −1..<1.
    static func numbers(_ count: Int, stream: UInt64) -> [Float] {
        var random = RandomNumbers(seed: 0, stream: stream)
        return (0..<count).map { _ in Float(2 * random.nextUnit() - 1) }
    }

    private static func distance(_ found: [Float], _ expected: [Double]) -> Double {
        guard found.count == expected.count else { return .infinity }
        let differences = zip(found, expected).map { abs(Double($0) - $1) }
        guard !differences.contains(where: \.isNaN) else { return .nan }
        return (differences.max() ?? 0) / expected.reduce(0) { max($0, abs($1)) }
    }
}
