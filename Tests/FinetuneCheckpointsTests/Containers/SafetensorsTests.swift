// State dicts in safetensors, and files that break a rule of the format.

import FinetuneFiles
import TestSupport
import Testing

@testable import FinetuneCheckpoints

@Suite("A file of safetensors") struct SafetensorsTests: DialectSuite {
    static let dialect = "safetensors"
    static let words = "state dict in safetensors"

    @Test("gives the features and logits of the library that wrote it", arguments: cases)
    func numbers(_ example: WeightCase) async throws { try await example.expectNumbers() }

    @Test("is recognised by its content, with its preprocessing", arguments: cases)
    func recognition(_ example: WeightCase) throws { try example.expectRecognition(as: Self.words) }

    @Test(
        "that breaks a rule of the format is refused",
        arguments: [
            ("[]", 0, "no JSON object"),
            (#" {"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 4, "no JSON object"),
            (
                #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
                4, "second time"
            ),
            (#"{"a":{"dtype":"F37","shape":[1],"data_offsets":[0,4]}}"#, 4, "F37"),
            (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4, "whole numbers"),
            (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}"#, 4, "whole numbers"),
            (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, 4, "impossible"),
            (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4, "does not fit"),
            (#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,4]}}"#, 4, "does not fit"),
            (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8, "0 was expected"),
            (
                #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
                4, "4 was expected"
            ),
            (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 8, "8 are there"),
            (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 2, "2 are there"),
            (#"{"__metadata__":{"a":1}}"#, 0, "something other than text"),
            (String(repeating: #"{"a":"#, count: 1000), 0, "nesting"), (#"{"a""#, 0, "not JSON"),
        ])
    func rules(_ header: String, _ bytes: Int, _ words: String) {
        let file =
            UInt64(header.utf8.count).littleEndianBytes + Array(header.utf8) + [UInt8](repeating: 0, count: bytes)
        let error = #expect(throws: CheckpointError.self) { try Safetensors.read(.bytes(file), path: "x") }
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }

    @Test("with an impossible length is refused", arguments: [0, 100_000_001, 1 << 40, UInt64.max])
    func lengths(_ count: UInt64) {
        #expect(throws: CheckpointError.self) {
            try Safetensors.read(.bytes(count.littleEndianBytes + Array("{}".utf8)), path: "x")
        }
    }
}
