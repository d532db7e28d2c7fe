// HDF5 files that we write: plain datasets and attributes, hard links only, no times, so that bytes repeat.

internal import CFinetuneHDF5
package import FinetuneEngine
internal import FinetuneFiles

/// A new HDF5 file, whole or not there. Used by one task at a time.
package final class HDF5Writer {
    private let file: hid_t
    private let path: String
    /// Nil when the file has got its place.
    private var target: AtomicFile?
    /// `errno` of the first write that failed; the library knows nothing of it.
    private let failure: UnsafeMutablePointer<Int32>
    private var isOpen = true

    /// - Parameter path: Where the file will stand; what is there now stays until `finish`.
    /// - Throws: `FileError`.
    package init(_ path: String) throws {
        self.path = path
        let target = try AtomicFile(path)
        finetune_h5_begin()
        let creation = finetune_h5_file_creation()
        defer { H5Pclose(creation) }
        failure = .allocate(capacity: 1)
        failure.initialize(to: 0)
        file = finetune_h5_create(target.descriptor, failure, creation)
        self.target = consume target
        guard file >= 0 else {
            isOpen = false
            throw CheckpointError.cannotWrite(path, String(cString: finetune_h5_last_error()))
        }
    }

    deinit {
        // A file that the library cannot close it may still write to.
        if !isOpen || H5Fclose(file) >= 0 { failure.deallocate() }
    }

    /// Closes the file and puts it in its place; nothing may be written afterwards.
    ///
    /// - Throws: `FileError` such as for a full disk, and then nothing is there.
    package func finish() throws {
        let status = H5Fclose(file)
        isOpen = status < 0
        try check(status)
        guard let target = target.take() else { return }
        try target.commit()
    }

    package func makeGroup(_ name: String) throws {
        let group = try checked(H5Gcreate2(file, name, 0, 0, 0))
        H5Gclose(group)
    }

    /// Sets a text attribute of a group, by default of the root.
    package func setText(_ name: String, _ value: String, of group: String = "/") throws {
        try setAttribute(name, [value], of: group, space: try checked(H5Screate(H5S_SCALAR)))
    }

    /// Sets an attribute that is a list of texts.
    package func setTexts(_ name: String, _ values: [String], of group: String = "/") throws {
        try setAttribute(name, values, of: group, space: try checked(H5Screate_simple(1, [hsize_t(values.count)], nil)))
    }

    private func setAttribute(_ name: String, _ values: [String], of group: String, space: hid_t) throws {
        defer { H5Sclose(space) }
        let object = try checked(H5Oopen(file, group, 0))
        defer { H5Oclose(object) }
        let type = try checked(finetune_h5_text())
        defer { H5Tclose(type) }
        let attribute = try checked(H5Acreate2(object, name, type, space, 0, 0))
        defer { H5Aclose(attribute) }
        try withPointers(to: values) { try check(H5Awrite(attribute, type, $0)) }
    }

    /// Texts as C strings one after the other, and where each begins.
    private func withPointers(to texts: [String], _ body: ([UnsafePointer<CChar>?]) throws -> Void) rethrows {
        var starts: [Int] = []
        var all: [CChar] = []
        for text in texts {
            starts.append(all.count)
            all += text.utf8CString
        }
        try all.withUnsafeBufferPointer { buffer in try body(starts.map { buffer.baseAddress?.advanced(by: $0) }) }
    }

    package func write(_ tensor: Tensor, as name: String) throws {
        try tensor.withUnsafeBufferPointer {
            try write(
                name, tensor.shape, stored: finetune_h5_stored_float(), memory: finetune_h5_float(), $0.baseAddress)
        }
    }

    package func write(integers: [Int], as name: String) throws {
        try write(name, [integers.count], stored: finetune_h5_stored_int64(), memory: finetune_h5_int64(), integers)
    }

    package func write(bytes: [UInt8], as name: String) throws {
        try write(name, [bytes.count], stored: finetune_h5_stored_uint8(), memory: finetune_h5_uint8(), bytes)
    }

    /// Writes a list of variable-length UTF-8 strings.
    package func write(texts: [String], as name: String) throws {
        let type = try checked(finetune_h5_text())
        defer { H5Tclose(type) }
        try withPointers(to: texts) { try write(name, [texts.count], stored: type, memory: type, $0) }
    }

    private func write(_ name: String, _ shape: [Int], stored: hid_t, memory: hid_t, _ data: UnsafeRawPointer?) throws {
        let sizes = shape.map { hsize_t($0) }
        let space = try checked(H5Screate_simple(Int32(sizes.count), sizes, nil))
        defer { H5Sclose(space) }
        let creation = try checked(finetune_h5_dataset_creation())
        defer { H5Pclose(creation) }
        try check(H5Pset_obj_track_times(creation, false))
        let dataset = try checked(H5Dcreate2(file, name, stored, space, 0, creation, 0))
        defer { H5Dclose(dataset) }
        if !shape.contains(0) { try check(H5Dwrite(dataset, memory, 0, 0, 0, data)) }
    }

    // MARK: Tables that grow

    /// A dataset of floats to which rows are appended.
    package struct Table: ~Copyable {
        fileprivate let dataset: hid_t
        fileprivate let rowShape: [Int]
        fileprivate var rows = 0

        fileprivate init(dataset: hid_t, rowShape: [Int]) {
            self.dataset = dataset
            self.rowShape = rowShape
        }

        deinit { H5Dclose(dataset) }
    }

    /// Makes an empty table of rows of `rowShape`.
    ///
    /// - Parameter isHalf: Whether the file keeps 16-bit floats.
    package func makeTable(_ name: String, rowShape: [Int], isHalf: Bool) throws -> Table {
        let none = [hsize_t(0)] + rowShape.map { hsize_t($0) }
        let most = [hsize_t.max] + rowShape.map { hsize_t($0) }
        let space = try checked(H5Screate_simple(Int32(none.count), none, most))
        defer { H5Sclose(space) }
        let creation = try checked(finetune_h5_dataset_creation())
        defer { H5Pclose(creation) }
        try check(H5Pset_obj_track_times(creation, false))
        let rowsInChunk = max(1, (1 << 18) / max(1, rowShape.reduce(1, *)))
        try check(H5Pset_chunk(creation, Int32(none.count), [hsize_t(rowsInChunk)] + rowShape.map { hsize_t($0) }))
        let half = isHalf ? try checked(finetune_h5_stored_half()) : -1
        defer { if isHalf { H5Tclose(half) } }
        let type = isHalf ? half : finetune_h5_stored_float()
        return Table(dataset: try checked(H5Dcreate2(file, name, type, space, 0, creation, 0)), rowShape: rowShape)
    }

    /// Appends rows, shape `[count] + rowShape`.
    package func append(_ rows: Tensor, to table: inout Table) throws {
        let count = rows.shape[0]
        guard count > 0 else { return }
        let size = [hsize_t(table.rows + count)] + table.rowShape.map { hsize_t($0) }
        try check(H5Dset_extent(table.dataset, size))
        let space = try checked(H5Dget_space(table.dataset))
        defer { H5Sclose(space) }
        let start = [hsize_t(table.rows)] + table.rowShape.map { _ in hsize_t(0) }
        let block = [hsize_t(count)] + table.rowShape.map { hsize_t($0) }
        try check(H5Sselect_hyperslab(space, H5S_SELECT_SET, start, nil, block, nil))
        let memory = try checked(H5Screate_simple(Int32(block.count), block, nil))
        defer { H5Sclose(memory) }
        try rows.withUnsafeBufferPointer {
            try check(H5Dwrite(table.dataset, finetune_h5_float(), memory, space, 0, $0.baseAddress))
        }
        table.rows += count
    }

    private func check(_ status: herr_t) throws {
        if failure.pointee != 0 { throw FileError.system(.inputOutput, "write", path, code: failure.pointee) }
        guard status >= 0 else { throw CheckpointError.cannotWrite(path, String(cString: finetune_h5_last_error())) }
    }

    private func checked(_ handle: hid_t) throws -> hid_t {
        try check(handle < 0 ? -1 : 0)
        return handle
    }
}
