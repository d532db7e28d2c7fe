// What there is to say of the tensors of a file.

import FinetuneEngine
import Testing

@testable import FinetuneCheckpoints

@Suite("A summary of tensors") struct TensorSummaryTests {
    @Test("counts what no network has, and names tensors of zeros and copies")
    func warnings() throws {
        var arrays = NamedArrays()
        arrays.add("a.weight", Tensor(shape: [2, 2], values: [1, .nan, .infinity, -3]), type: "float32")
        arrays.add("b.weight", Tensor(shape: [2, 2], repeating: 0), type: "float32")
        arrays.add("c.bias", Tensor(shape: [3], repeating: 0), type: "float32")
        arrays.add("d.weight", Tensor(shape: [5, 1], values: [1, 2, 3, 4, 6]), type: "float16")
        arrays.add("e.weight", Tensor(shape: [5, 1], values: [1, 2, 3, 4, 6]), type: "float16")
        arrays.add("e.bias", Tensor(shape: [5], values: [1, 2, 3, 4, 7]), type: "float16")
        arrays.add("g.bias", Tensor(shape: [5], values: [1, 2, 3, 4, 7]), type: "float16")
        arrays.add("f.weight", Tensor(shape: [9, 1000], values: (0..<9000).map { Float($0 % 10) }), type: "float32")
        let all = TensorSummary.all(arrays)
        #expect(all.map(\.name) == arrays.arrays.keys.sorted())
        #expect(all[0].notANumber == 1 && all[0].infinite == 1 && all[0].minimum == -3 && all[0].mean == -1)
        // 0 … 9 in equal parts: mean 4.5, variance 8.25.
        #expect(abs(all[6].mean - 4.5) < 1e-6 && abs(all[6].standardDeviation - 8.25.squareRoot()) < 1e-5)
        let warnings = TensorSummary.warnings(all)
        #expect(warnings.count == 4, "\(warnings)")
        for words in [
            "'a.weight' holds 1 value not a number", "infinite", "'b.weight' is all zeros",
            "'d.weight', 'e.weight' hold the same",
        ] {
            #expect(warnings.contains { $0.contains(words) }, "\(words)")
        }
    }
}
