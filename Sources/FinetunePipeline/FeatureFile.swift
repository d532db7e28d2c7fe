// Features in files that other programs read: NumPy's, HDF5, CSV. Rows are written as they come; memory stays flat.

internal import FinetuneCheckpoints
package import FinetuneEngine
internal import FinetuneFiles

/// What stands beside each row of features.
package struct FeatureRow: Sendable {
    package var path: String
    /// −1 where it is unknown.
    package var label: Int
    package var split: String?

    package init(path: String, label: Int, split: String?) {
        self.path = path
        self.label = label
        self.split = split
    }
}

/// A file of features in the making. Without `finish` nothing remains of it.
package enum FeatureFile {
    package enum Format: String, Sendable, CaseIterable { case npz, npy, h5, csv }

    /// How the numbers are kept.
    package enum Element: String, Sendable, CaseIterable { case float32, float16 }

    /// Writes a file.
    ///
    /// - Parameters:
    ///   - rowShape: The shape of one image's features.
    ///   - attributes: Provenance, kept where the format has a place for it (HDF5).
    ///   - row: What stands beside the features of an item.
    ///   - body: Is given a function that appends the features of items.
    package static func write(
        to path: String, _ format: Format, rowShape: [Int], element: Element, classes: [String],
        attributes: [(String, String)], row: @escaping (Int) -> FeatureRow, body: Body
    ) async throws {
        switch format {
        case .npz: try await writeNpz(path, rowShape, element, classes, row, body)
        case .npy: try await writeNpy(path, rowShape, element, classes, row, body)
        case .csv: try await writeCSV(path, rowShape, classes, row, body)
        case .h5: try await writeHDF5(path, rowShape, element, classes, attributes, row, body)
        }
    }

    package typealias Body = ((Tensor, _ items: [Int]) throws -> Void) async throws -> Void
    private typealias Row = (Int) -> FeatureRow

    /// The length of a header that is replaced when the number of rows is known.
    private static let headerCount = 192

    private static func header(_ element: Element, _ rows: Int, _ rowShape: [Int]) -> [UInt8] {
        NumpyArray.header(element == .float16 ? "<f2" : "<f4", shape: [rows] + rowShape, byteCount: headerCount)
    }

    /// Gives the bytes of a tensor as the file keeps them.
    private static func withBytes(_ tensor: Tensor, _ element: Element, _ body: (RawSpan) throws -> Void) throws {
        if element == .float32 { return try tensor.withSpan { try body($0.bytes) } }
        let values = tensor.values
        try checkRange(values)
        let halves = values.map { Float16($0).bitPattern }
        try body(halves.span.bytes)
    }

    /// - Throws: `PipelineError` for a number that 16 bits cannot hold.
    private static func checkRange(_ values: [Float]) throws {
        guard let large = values.first(where: { !Float16($0).isFinite }) else { return }
        throw PipelineError(
            description: "cannot keep the features as float16: \(large) is larger than 65504. Use --dtype float32.")
    }

    private static func writeNpz(
        _ path: String, _ rowShape: [Int], _ element: Element, _ classes: [String], _ row: @escaping Row,
        _ body: Body
    ) async throws {
        var archive = try ZipWriter(path)
        var items: [Int] = []
        var checksum: UInt32 = 0
        var byteCount = 0
        let provisional = header(element, 0, rowShape)
        try archive.begin("features.npy")
        try archive.write(provisional)
        try await body { tensor, added in
            items += added
            try withBytes(tensor, element) { bytes in
                checksum = ZipWriter.checksum(bytes, continuing: checksum)
                byteCount += bytes.byteCount
                try archive.write(bytes)
            }
        }
        let final = header(element, items.count, rowShape)
        try archive.replaceStart(
            provisional, by: final, rest: ZipWriter.checksum(of: final, then: checksum, count: byteCount))
        try archive.begin("labels.npy")
        try archive.write(NumpyArray.file(integers: items.map { row($0).label }))
        try archive.begin("paths.npy")
        try NumpyArray.encode(items.lazy.map { row($0).path }) { try archive.write($0) }
        try archive.begin("classes.npy")
        try NumpyArray.encode(classes) { try archive.write($0) }
        if items.contains(where: { row($0).split != nil }) {
            try archive.begin("split.npy")
            try NumpyArray.encode(items.lazy.map { row($0).split ?? "" }) { try archive.write($0) }
        }
        try archive.commit()
    }

    private static func writeNpy(
        _ path: String, _ rowShape: [Int], _ element: Element, _ classes: [String], _ row: @escaping Row, _ body: Body
    ) async throws {
        var file = try AtomicFile(path)
        var index = try AtomicFile(path + ".index.csv")
        var rows = 0
        try file.write(header(element, 0, rowShape))
        try index.write(CSV.line(["path", "label", "class", "split"]))
        try await body { tensor, added in
            rows += added.count
            try withBytes(tensor, element) { try file.write($0) }
            for row in added.map(row) {
                let name = row.label >= 0 && row.label < classes.count ? classes[row.label] : ""
                try index.write(CSV.line([row.path, String(row.label), name, row.split ?? ""]))
            }
        }
        try file.patch(at: 0, header(element, rows, rowShape))
        // Both or none.
        try file.synchronize()
        try index.commit()
        try file.commit()
    }

    private static func writeCSV(
        _ path: String, _ rowShape: [Int], _ classes: [String], _ row: @escaping Row, _ body: Body
    ) async throws {
        var file = try AtomicFile(path)
        let size = rowShape.reduce(1, *)
        try file.write(CSV.line(["path", "label"] + (0..<size).map { "f\($0)" }))
        try await body { tensor, added in
            let values = tensor.values
            for (place, row) in added.map(row).enumerated() {
                let name = row.label >= 0 && row.label < classes.count ? classes[row.label] : ""
                try file.write(CSV.line([row.path, name] + values[place * size..<(place + 1) * size].map { "\($0)" }))
            }
        }
        try file.commit()
    }

    private static func writeHDF5(
        _ path: String, _ rowShape: [Int], _ element: Element, _ classes: [String], _ attributes: [(String, String)],
        _ row: @escaping Row, _ body: Body
    ) async throws {
        let file = try HDF5Writer(path)
        for (name, value) in attributes { try file.setText(name, value) }
        var table = try file.makeTable("features", rowShape: rowShape, isHalf: element == .float16)
        var items: [Int] = []
        try await body { tensor, added in
            items += added
            if element == .float16 { try checkRange(tensor.values) }
            try file.append(tensor, to: &table)
        }
        try file.write(integers: items.map { row($0).label }, as: "labels")
        try file.write(texts: items.map { row($0).path }, as: "paths")
        try file.write(texts: classes, as: "classes")
        if items.contains(where: { row($0).split != nil }) {
            try file.write(texts: items.map { row($0).split ?? "" }, as: "split")
        }
        _ = consume table
        try file.finish()
    }
}
