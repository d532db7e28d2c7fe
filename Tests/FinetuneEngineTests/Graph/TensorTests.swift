// Where tensors live, and what they hold when their dimensions change places.

import FinetuneEngine
import Foundation
import Testing

@Suite("A tensor") struct TensorTests {
    @Test("the features of a large data set are the system's to put on the disk, and leave nothing there")
    func largeOnesAreEvictable() throws {
        func mappings() throws -> [Substring] {
            let data = try FileHandle(forReadingFrom: URL(fileURLWithPath: "/proc/self/maps")).readToEnd() ?? Data()
            return String(decoding: data, as: UTF8.self).split(separator: "\n").filter { $0.contains("/finetune-") }
        }
        let page = 1024
        let before = try mappings().count
        do {
            let tensor = Tensor(shape: [1 << 16, page]) { values in
                for row in 0..<1 << 16 { values[row * page + row % page] = Float(row) }
            }
            tensor.withUnsafeBufferPointer { values in
                #expect((0..<1 << 16).allSatisfy { values[$0 * page + $0 % page] == Float($0) })
            }
            let found = try mappings()
            #expect(found.count == before + 1 && found.allSatisfy { $0.hasSuffix("(deleted)") })
        }
        #expect(try mappings().count == before)
    }

    /// Each element is its own place in row-major order.
    private static func numbered(_ shape: [Int]) -> Tensor {
        Tensor(shape: shape, values: (0..<shape.reduce(1, *)).map { Float($0) })
    }

    /// Every index of a shape, in row-major order.
    private static func indices(of shape: [Int]) -> [[Int]] {
        var found: [[Int]] = [[]]
        for size in shape { found = found.flatMap { index in (0..<size).map { index + [$0] } } }
        return found
    }

    /// Every order of so many dimensions.
    private static func orders(of count: Int) -> [[Int]] {
        guard count > 0 else { return [[]] }
        return orders(of: count - 1).flatMap { order in
            (0..<count).map { place in Array(order[..<place]) + [count - 1] + Array(order[place...]) }
        }
    }

    /// Sizes below, at and above the 16 floats of a tile, and of one element.
    static let shapes: [[Int]] = [
        [], [5], [16, 16], [15, 17], [33, 1], [1, 34], [2, 16, 3], [17, 5, 18], [20, 1, 3], [2, 3, 17, 16],
        [3, 17, 1, 5], [2, 1, 18, 1, 33],
    ]

    @Test("has the elements that a plain loop finds, with its dimensions in any order", arguments: shapes)
    func transposed(_ shape: [Int]) {
        let tensor = Self.numbered(shape)
        for order in Self.orders(of: shape.count) {
            let found = tensor.transposed(order)
            #expect(found.shape == order.map { shape[$0] })
            let expected = Self.indices(of: found.shape).map { index in
                var source = index
                for (place, dimension) in order.enumerated() { source[dimension] = index[place] }
                var offset = 0
                for (position, size) in zip(source, shape) { offset = offset * size + position }
                return Float(offset)
            }
            #expect(found.values == expected, "\(order)")
        }
    }

    static let walks: [(shape: [Int], steps: [Int])] = [
        ([5], [3]), ([40], [1]), ([7], [0]), ([9, 8], [16, 2]), ([4, 17], [0, 1]), ([17, 4], [1, 0]),
        ([4, 5], [1, 1]),
        ([20, 18], [2, 40]), ([33, 17], [1, 50]), ([3, 17, 20], [1, 60, 3]), ([6, 5, 3], [7, 1, 7]),
        ([2, 3, 17, 18], [900, 1, 50, 3]), ([16, 1, 32], [1, 5, 16]), ([0, 3], [3, 1]),
    ]

    @Test("has the elements that a plain loop finds, with any steps between them", arguments: walks)
    func strided(_ shape: [Int], _ steps: [Int]) {
        let found = Self.numbered([4000]).strided(shape, steps)
        let expected = Self.indices(of: shape).map { index in
            var offset = 0
            for (position, step) in zip(index, steps) { offset += position * step }
            return Float(offset)
        }
        #expect(found.shape == shape)
        #expect(found.values == expected)
    }
}
