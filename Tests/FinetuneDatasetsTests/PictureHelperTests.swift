// The process that decodes pictures: whatever it does, it costs one picture.

import FinetuneFiles
import FinetuneModels
import Glibc
import Testing

@testable import FinetuneDatasets

@Suite("The process that decodes pictures")
struct PictureHelperTests {
    /// A shell script in its place.
    private func withHelpers(_ script: String, timeLimit: Int = 600, _ body: (PictureHelpers) throws -> Void) throws {
        var template = Array("/tmp/finetune-helper-XXXXXX".utf8CString)
        _ = try #require(mkdtemp(&template))
        let folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let path = folder + "/helper"
        defer {
            unlink(path)
            rmdir(folder)
        }
        let text = Array(("#!/bin/sh\n" + script + "\n").utf8)
        let file = try #require(fopen(path, "we"))
        #expect(fwrite(text, 1, text.count, file) == text.count)
        fclose(file)
        chmod(path, 0o755)
        try body(PictureHelpers(path: path, timeLimit: timeLimit))
    }

    private func refusal(_ helpers: PictureHelpers) throws -> String {
        let bytes = try PhoneFixtures.bytes("420.heic")
        let error = #expect(throws: PictureError.self) {
            try bytes.withUnsafeBytes {
                try HelperDecoder.decode(
                    PictureBytes($0), .heic, pixelLimit: Picture.pixelLimit, .full, isTurned: true, helpers: helpers
                ) { _, _ in 1 }
            }
        }
        return try #require(error).message(path: "a.heic")
    }

    @Test("A crash costs that picture, and the next has a new process")
    func crash() throws {
        try withHelpers("echo '{}'; read line; kill -SEGV $$") { helpers in
            for _ in 0..<2 {
                let words = try refusal(helpers)
                #expect(words.contains("made its decoder crash (signal 11)"))
            }
        }
    }

    @Test("A process that hangs is ended and costs that picture")
    func hang() throws {
        try withHelpers("echo '{}'; read line; exec sleep 100", timeLimit: 1) {
            let words = try refusal($0)
            #expect(words.contains("took more time"))
        }
    }

    @Test("A process that meets its own limits says so by its signal", arguments: ["XCPU", "ALRM"])
    func limits(signal: String) throws {
        try withHelpers("echo '{}'; read line; kill -\(signal) $$") {
            let words = try refusal($0)
            #expect(words.contains("took more time"))
        }
    }

    @Test(
        "Answers that make no sense are no picture",
        arguments: [
            "nonsense", "{}", #"{"width":9,"height":9,"channels":3,"bits":8,"orientation":1,"offset":999999}"#,
            #"{"width":-1,"height":9,"channels":3,"bits":8,"orientation":1,"offset":0}"#,
            #"{"width":23,"height":17,"channels":3,"bits":8,"orientation":9,"offset":0}"#,
            #"{"jpeg":4000000000,"offset":0}"#, #"{"jpeg":8,"offset":-4}"#,
        ])
    func nonsense(answer: String) throws {
        try withHelpers("echo '{}'; while read line; do echo '\(answer)'; done") {
            let words = try refusal($0)
            #expect(words.hasPrefix("cannot decode 'a.heic': "))
        }
    }

    @Test("A missing program is named, and other kinds need none")
    func missing() throws {
        let missing = PictureHelpers(path: "/nowhere/finetune-read-pictures")
        let words = try refusal(missing)
        #expect(words.contains("'/nowhere/finetune-read-pictures' is missing"))
    }

    @Test("A process that ended between pictures is replaced")
    func replaced() throws {
        try withHelpers(#"echo '{}'; read line; echo '{"failure":"truncated","detail":""}'"#) { helpers in
            for _ in 0..<3 {
                let words = try refusal(helpers)
                #expect(words.contains("cut off"))
                usleep(100_000)
            }
        }
    }

    @Test("A codec that is missing is named by its package")
    func codec() throws {
        let answer = #"{"failure":"noCodec","detail":"libheif-plugin-libde265"}"#
        try withHelpers("echo '{}'; read line; echo '\(answer)'; read line") {
            let words = try refusal($0)
            #expect(words.hasSuffix("Run: sudo apt-get install libheif-plugin-libde265"))
        }
    }

    @Test("Many pictures at a time have a process each")
    func lanes() async throws {
        let bytes = try PhoneFixtures.bytes("420.heic")
        let whole = try Picture(decoding: bytes, exif: .upright)
        await withTaskGroup(of: Bool.self) { group in
            for _ in 0..<16 { group.addTask { (try? Picture(decoding: bytes, exif: .upright)) == whole } }
            for await isSame in group { #expect(isSame) }
        }
    }
}
