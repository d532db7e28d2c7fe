// Where tensors live.

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
}
