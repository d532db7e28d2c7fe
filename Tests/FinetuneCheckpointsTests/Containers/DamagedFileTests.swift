// Files that are broken, hostile or something else: refused with the tensor's name and the reason.

import FinetuneEngine
import FinetuneFiles
import FinetuneModels
import TestSupport
import Testing

@testable import FinetuneCheckpoints

@Suite("A weight file") struct DamagedFileTests {
    @Test(
        "that is broken is refused with the tensor's name",
        arguments: [
            ("missing", "layer2.0.bn1.running_var"), ("extra", "layer2.0.se.weight"),
            ("misshapen", "layer3.0.conv1.weight"),
            ("text", "bn1.weight"), ("soft-link", "layer1.0.conv1.weight"), ("not-finite", "fc.weight"),
            ("truncated", "cut short"),
        ])
    func broken(_ name: String, _ word: String) { expectRefusal("bad-\(name).h5", word) }

    @Test(
        "that is hostile is refused, with the reason and the tensor's name",
        arguments: [
            ("external-link.h5", "link to another file"), ("external-storage.h5", "in another file"),
            ("virtual.h5", "virtual dataset"), ("bomb-chunked.h5", "which no file holds"),
            ("bomb-contiguous.h5", "which no file holds"), ("bomb-gzip.h5", "more than such a file can hold"),
            ("filter.h5", "filter 32015"), ("empty.h5", "dimension of size 0"), ("records.h5", "records"),
            ("reference.h5", "neither floats nor integers"), ("chunk.h5", "cannot be read"),
            ("absolute.h5", "points outside"), ("bomb.keras", "declares 104857608 bytes"),
        ])
    func hostile(_ name: String, _ words: String) {
        let error = #expect(throws: CheckpointError.self) { try load(Fixtures.path("bad-\(name)")) }
        let text = error?.description ?? ""
        #expect(text.contains(words), "\(text)")
        let names = ["layer2.0.conv1.weight", "/conv2_block1_1_conv/", "model.weights.h5"]
        #expect(names.contains { text.contains($0) }, "\(text)")
    }

    @Test(
        "that holds its own root, or three hundred groups in each other, is read all the same",
        arguments: ["cycle", "deep"])
    func oddities(_ name: String) throws {
        #expect(try load(Fixtures.path("bad-\(name).h5")).network.name == "ResNet-10, width 4")
    }

    @Test(
        "that is something else says what it is",
        arguments: [
            ("", "empty"), ("version https://git-lfs.github.com/spec/v1", "git lfs pull"),
            ("<!DOCTYPE html>", "web page"), ("hello", "text, not weights ('hello')"),
            ("\u{1}\u{2}\u{3}", "not a weights file"),
        ])
    func strangers(_ text: String, _ word: String) throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        try AtomicFile.write(text, to: folder + "/x.h5")
        let error = #expect(throws: CheckpointError.self) { try load(folder + "/x.h5") }
        #expect(error?.description.contains(word) == true)
    }
}
