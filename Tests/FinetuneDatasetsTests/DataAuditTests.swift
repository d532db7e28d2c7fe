// Copies of pictures, and everything else that a look at a data set shows.

import FinetuneFiles
import FinetuneModels
import TestSupport
import Testing

@testable import FinetuneDatasets

/// A made-up photograph: smooth blobs, the same for the same seed.
private func photograph(_ seed: Int, width: Int = 120, height: Int = 90) -> Picture {
    var state = UInt64(truncatingIfNeeded: seed &+ 1) &* 0x9E37_79B9_7F4A_7C15
    func random() -> Double {
        state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
        return Double(state >> 40) / Double(1 << 24)
    }
    let blobs = (0..<12).map { _ in (x: random(), y: random(), size: 0.05 + 0.2 * random(), level: random() - 0.5) }
    var bytes: [UInt8] = []
    for y in 0..<height {
        for x in 0..<width {
            var level = 0.5
            for blob in blobs {
                let dx = Double(x) / Double(width) - blob.x
                let dy = Double(y) / Double(height) - blob.y
                let near = max(0, 1 - (dx * dx + dy * dy) / (blob.size * blob.size))
                level += blob.level * near
            }
            bytes += [0.9, 1, 0.7].map { UInt8(clamping: Int(255 * $0 * level)) }
        }
    }
    return Picture(width: width, height: height, channels: 3, bytes: bytes)
}

extension Picture {
    fileprivate var mirrored: Picture {
        var turned: [UInt8] = []
        for y in 0..<height {
            for x in (0..<width).reversed() {
                let place = (y * width + x) * 3
                turned += bytes[place..<place + 3]
            }
        }
        return Picture(width: width, height: height, channels: 3, bytes: turned)
    }

    fileprivate var halved: Picture {
        resized(
            width: width / 2, height: height / 2, interpolation: .bilinear, columns: 0..<width / 2, rows: 0..<height / 2
        )
    }
}

private func search(_ pictures: [Picture]) -> CopySearch {
    let prints = pictures.map { Fingerprint($0, format: nil) }
    return CopySearch(pictures.map { ContentHash(of: $0.bytes) }, prints.map(\.hash)) { prints[$0].shades }
}

@Suite("Copies of a picture") struct CopySearchTests {
    @Test("are found where they are equal, scaled, mirrored or both, and nowhere else")
    func copies() {
        let originals = (0..<40).map { photograph($0) }
        let found = search(
            originals + [originals[3], originals[5].halved, originals[7].mirrored, originals[9].mirrored.halved])
        #expect(found.exact == [[3, 40]])
        #expect(found.near.map { [$0.first, $0.second] } == [[5, 41], [7, 42], [9, 43]])
        #expect(found.near.map(\.isMirrored) == [false, true, true])
        #expect(found.near.allSatisfy { $0.correlation >= 0.98 })
        #expect(found.sets[3] == found.sets[40] && found.sets[3] != nil && found.sets[0] == nil)
        #expect(!found.areAllAlike)
    }

    @Test("of a flat picture are only those of the same content")
    func flat() {
        func flat(_ level: UInt8) -> Picture {
            Picture(width: 8, height: 8, channels: 1, bytes: [UInt8](repeating: level, count: 64))
        }
        let found = search([flat(10), flat(200), flat(10)])
        #expect(found.exact == [[0, 2]] && found.near.isEmpty)
    }

    @Test("are not everything where a camera never moves")
    func series() {
        let scene = photograph(1)
        let series = (0..<60).map { index in
            var bytes = scene.bytes
            bytes[index] = bytes[index] &+ 1
            return Picture(width: scene.width, height: scene.height, channels: 3, bytes: bytes)
        }
        let found = search(series)
        #expect(found.areAllAlike && found.sets.allSatisfy { $0 == nil })
    }

    @Test("have a correlation as NumPy computes it, by hand for a ramp")
    func correlation() {
        let side = Fingerprint.side
        let ramp = (0..<side * side).map { UInt8($0 % side) }
        #expect(Fingerprint.likeness(ramp, ramp, isMirrored: false).shades == 1)
        #expect(Fingerprint.likeness(ramp, ramp, isMirrored: true).shades == -1)
        #expect(Fingerprint.likeness(ramp, ramp.map { 2 * $0 + 7 }, isMirrored: false).shades == 1)
        // Of the steps half are 1 along rows and half 0 along columns; turned, the first are −1.
        #expect(Fingerprint.likeness(ramp, ramp, isMirrored: false).steps == 1)
        #expect(Fingerprint.likeness(ramp, ramp, isMirrored: true).steps == -1)
    }

    @Test("survive as numbers") func numbers() {
        for highest in [nil, 0, 4080, 65535] {
            var picture = photograph(2, width: 3000, height: 40)
            picture.highest = highest
            let print = Fingerprint(picture, format: .png)
            let numbers = print.numbers
            #expect(Fingerprint(numbers: numbers) == print)
            #expect(print.highest == highest)
        }
        #expect(Fingerprint(numbers: [Float](repeating: -1, count: 9)) == nil)
    }

    @Test("hash like the picture turned left to right") func mirroredHash() throws {
        let picture = photograph(4)
        let hash = try #require(Fingerprint(picture, format: nil).hash)
        let mirrored = try #require(Fingerprint(picture.mirrored, format: nil).hash)
        #expect(hash.mirrored.distance(to: mirrored) <= 2 && hash.distance(to: mirrored) > 8)
    }
}

@Suite("An audit") struct DataAuditTests {
    private func image(
        _ name: String, _ label: Int? = 0, part: Split.Part? = nil, group: String? = nil, size: (Int, Int) = (100, 100),
        format: PictureFormat? = .jpeg, highest: Int? = nil
    ) -> DataAudit.Image {
        .init(
            name: name, label: label, group: group, part: part,
            facts: .init(size: size, format: format, highest: highest))
    }

    private func audit(
        _ images: [DataAudit.Image], classes: [String] = ["a", "b"], contents: [String]? = nil,
        ownParts: [Split.Part] = [], inputSize: (width: Int, height: Int)? = nil, depth: Int = 16
    ) -> [Finding] {
        let hashes = (contents ?? images.map(\.name)).map { ContentHash(of: $0) }
        let copies = CopySearch(hashes, hashes.map { _ in nil }) { _ in nil }
        return DataAudit(
            images, classes: classes, copies: copies, ownParts: ownParts, inputSize: inputSize, depth: depth
        )
        .findings
    }

    private func many(_ label: Int, _ count: Int) -> [DataAudit.Image] {
        (0..<count).map { image("\(label)/\($0).jpg", label) }
    }

    private func deep(_ highest: [Int?]) -> [DataAudit.Image] {
        highest.enumerated().map {
            image("\($0.offset % 2)/\($0.offset).png", $0.offset % 2, format: .png, highest: $0.element)
        }
    }

    @Test(
        "names the bits of pictures that use a fraction of 16",
        arguments: [(4080, 12), (1023, 10), (300, 9), (16383, 14), (90, 8)])
    func unusedRange(highest: Int, bits: Int) throws {
        let findings = audit(deep(Array(repeating: highest, count: 8) + [nil, nil]))
        let finding = try #require(findings.first)
        #expect(findings.map(\.kind) == [.unusedRange])
        #expect(finding.paths.count == 8)
        #expect(
            finding.detail
                == "8 pictures of 16 bits use a fraction of their range, such as '0/0.png': its highest value is "
                + "\(highest) of 65535. If they come from a camera of \(bits) bits: --depth \(bits).")
        #expect(audit(deep(Array(repeating: highest, count: 8)), depth: bits).isEmpty)
    }

    @Test("takes dark pictures among bright ones of one camera for what they are")
    func usedRange() {
        #expect(audit(deep([65535, 60000, 50000, 40000, 33000, 65000, 64000, 63000, 62000, 900, 61000, 0])).isEmpty)
        #expect(audit(deep([40000, 30000, 20000, 17000, 32000, 25000, 20000, 18000])).isEmpty)
        #expect(audit(deep([0, 0, 0, 0, 0, 0, 0, 0])).isEmpty)
    }

    @Test("says that pictures of two ranges cannot have one depth, and what a depth cuts off")
    func twoRanges() {
        let two = audit(deep([65535, 4000, 65535, 4000, 65535, 4000, 65535, 4000]))
        #expect(two.map(\.kind) == [.unusedRange])
        #expect(two.first?.detail.contains("Others use all of it.") == true)
        let cut = audit(deep([4080, 4000, 900, 900, 900, 900, 900, 900]), depth: 10)
        #expect(
            cut.first?.detail.contains("2 pictures of 16 bits have values above the 1023 that --depth 10 makes white")
                == true)
    }

    @Test("of a sound data set finds nothing")
    func sound() { #expect(audit(many(0, 9) + many(1, 8)).isEmpty) }

    @Test("names files that are not what their names say")
    func types() {
        let found = audit(many(0, 5) + many(1, 5) + [image("a/x.png"), image("b/y.JPG", 1), image("b/z", 1)])
        #expect(found.map(\.kind) == [.mistyped] && found[0].paths == ["a/x.png"])
        #expect(found[0].detail.contains("is a JPEG"))
    }

    @Test("tells duplicates from leaks, and says where labels contradict each other")
    func duplicates() {
        let images =
            many(0, 5) + many(1, 5) + [
                image("a/d1", 0, part: .train), image("a/d2", 0, part: .train), image("a/l1", 0, part: .train),
                image("v/l2", 0, part: .validation), image("a/t1", 0), image("b/t2", 1),
            ]
        let contents = (0..<10).map { "\($0)" } + ["d", "d", "l", "l", "t", "t"]
        let found = audit(images, contents: contents)
        #expect(found.map(\.kind) == [.exactDuplicates, .leak, .exactDuplicates, .twoLabels])
        #expect(found[0].surplus == ["a/d2"] && found[1].surplus == ["a/l1"])
        #expect(found[3].surplus == ["a/t1", "b/t2"] && found[3].detail.contains("'a' and 'b'"))
        #expect(found.counts.map(\.count) == [4, 2, 2])
        #expect(found.fixList.hasPrefix("path,kind,detail,suggestion,probability\na/d2,exact-duplicates,"))
    }

    @Test("names groups in more than one split") func groups() {
        let found = audit(
            many(0, 5) + many(1, 5) + [
                image("x", 0, part: .train, group: "p1"), image("y", 0, part: .test, group: "p1"),
                image("z", 1, part: .train, group: "p2"),
            ])
        #expect(found.map(\.kind) == [.tornGroup] && found[0].paths == ["x", "y"])
    }

    @Test("names classes that are missing from a split, too small, or rare") func classes() {
        let held = many(0, 40).map { image($0.name, 0, part: .train) } + [image("v", 0, part: .validation)]
        let found = audit(held + [image("b/1", 1, part: .train)], ownParts: [.train, .validation])
        #expect(found.map(\.kind) == [.missingClass, .smallClass, .imbalance])
        #expect(found[0].detail.contains("'b'") && found[0].detail.contains("'val'"))
        #expect(audit(many(0, 9)).map(\.kind) == [.missingClass])
    }

    @Test("names images that are small or oddly shaped") func sizes() {
        let found = audit(
            many(0, 20) + many(1, 20) + [image("wide", 0, size: (900, 100)), image("tiny", 1, size: (12, 12))],
            inputSize: (64, 64))
        #expect(found.map(\.kind) == [.smallImage, .oddShape, .oddShape])
        #expect(found[0].paths == ["tiny"] && found[1].paths == ["wide"] && found[2].paths == ["tiny"])
        #expect(found.grave.isEmpty)
    }
}
