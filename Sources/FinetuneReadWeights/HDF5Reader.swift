// One walk over a file's hard links that lists what is there and says of each thing it will not read why.

internal import CFinetuneHDF5
internal import FinetuneFiles
internal import Glibc

final class HDF5Reader {
    private struct Dataset {
        var path: String
        var shape: [Int]
        var type: String
        /// Where its floats lie in the shared memory.
        var offset: Int
        var count: Int
        /// Bytes of a whole chunk before compression; 0 where the dataset is not in chunks.
        var chunkBytes: Int
    }

    /// What h5py and Keras call Google's 16-bit floats in a `dtype` attribute; HDF5 has no such type.
    private static let bfloat16 = "bfloat16"

    private static let maximumDepth = 64
    private static let maximumObjects = 100_000
    private static let maximumBytes = 16 << 30
    /// A place in the shared memory fits the widest vectors.
    private static let alignment = 64
    private static let maximumTextBytes = 64 << 20
    /// Deflate cannot shrink data by more than 1032; what declares more than this is a bomb.
    private static let maximumRatio = 1100
    /// Filters that libhdf5 has built in, deflate, shuffle, fletcher32, szip, nbit, scale-offset; and ours.
    private static let knownFilters: Set<Int32> = [1, 2, 3, 4, 5, 6, LZFFilter.identifier]

    private let file: hid_t
    private var datasets: [Dataset] = []
    private var groups: [JSON] = []
    private var problems: [JSON.Member] = []
    private var attributes: [JSON] = []
    private var visited: Set<UInt64> = []
    private var byteCount = 0
    private var textBytes = 0
    private let byteBudget: Int

    /// Bytes that all datasets of a file together may declare: networks hardly compress, so what does is a bomb.
    static func byteBudget(fileSize: Int) -> Int { min(maximumBytes, 64 << 20 + 20 * min(fileSize, 1 << 40)) }

    /// - Parameter descriptor: That of the file, which is open for reading.
    init(_ descriptor: Int32, fileSize: Int) throws {
        byteBudget = Self.byteBudget(fileSize: fileSize)
        file = finetune_h5_open(descriptor)
        guard file >= 0 else {
            throw ReadFailure(
                description:
                    "libhdf5 cannot open it (\(String(cString: finetune_h5_last_error()))), so it is cut short or damaged"
            )
        }
    }

    deinit { H5Fclose(file) }

    /// The index of everything that was found.
    var index: JSON {
        [
            "groups": .array(groups),
            "datasets": .array(
                datasets.map {
                    [
                        "path": .string($0.path), "shape": JSON($0.shape), "type": .string($0.type),
                        "offset": .integer($0.offset),
                    ]
                }),
            "problems": .object(problems),
            "attributes": .array(attributes),
        ]
    }

    func walk() throws {
        let root = H5Gopen2(file, "/", 0)
        guard root >= 0 else { throw ReadFailure(description: "it has no root group") }
        defer { H5Gclose(root) }
        try visit(object: root, path: "", depth: 0)
    }

    /// Reads every dataset of the index as 32-bit floats and writes them to the shared memory behind `descriptor`.
    ///
    /// Through one buffer: this process stays small however large the file, and to write whole pages of shared memory
    /// costs less than to touch them one by one.
    func readData(into descriptor: Int32) throws {
        guard ftruncate(descriptor, off_t(max(byteCount, 1))) == 0 else { throw noMemory(byteCount) }
        let largest = datasets.map(\.count).max() ?? 0
        let size = largest * 4
        let buffer = mmap(nil, max(size, 1), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let buffer, buffer != MAP_FAILED else { throw noMemory(size) }
        madvise(buffer, max(size, 1), MADV_HUGEPAGE)
        datasets = try datasets.filter { entry in
            let dataset = H5Dopen2(file, "/" + entry.path, 0)
            defer { if dataset >= 0 { H5Dclose(dataset) } }
            LZFFilter.chunkBytes = entry.chunkBytes
            guard dataset >= 0, read(dataset, entry, into: buffer) else {
                report(entry.path, "cannot be read: \(String(cString: finetune_h5_last_error()))")
                return false
            }
            try write(buffer, entry.count * 4, to: descriptor, at: entry.offset)
            return true
        }
    }

    private func write(_ bytes: UnsafeMutableRawPointer, _ count: Int, to descriptor: Int32, at offset: Int) throws {
        var done = 0
        while done < count {
            let written = pwrite(descriptor, bytes + done, count - done, off_t(offset + done))
            guard written > 0 else { throw noMemory(byteCount) }
            done += written
        }
    }

    private func noMemory(_ bytes: Int) -> ReadFailure {
        ReadFailure(
            description:
                "reading it takes \(bytes) bytes of shared memory, which the system refuses: \(FileError.reason(errno))",
            isOfSystem: true)
    }

    private func read(_ dataset: hid_t, _ entry: Dataset, into memory: UnsafeMutableRawPointer) -> Bool {
        guard entry.type == Self.bfloat16 else {
            return H5Dread(dataset, finetune_h5_float(), 0, 0, 0, memory) >= 0
        }
        let type = H5Dget_type(dataset)
        defer { H5Tclose(type) }
        // The halves of the floats arrive behind the place of the first and are widened from there.
        let halves = memory + entry.count * 2
        let memoryType = H5Tget_class(type) == H5T_OPAQUE ? type : finetune_h5_uint16()
        guard H5Dread(dataset, memoryType, 0, 0, 0, halves) >= 0 else { return false }
        for index in 0..<entry.count {
            let half = halves.load(fromByteOffset: index * 2, as: UInt16.self)
            memory.storeBytes(of: UInt32(half) << 16, toByteOffset: index * 4, as: UInt32.self)
        }
        return true
    }

    private func report(_ path: String, _ problem: String) { problems.append(.init(path, .string(problem))) }

    private func visit(object: hid_t, path: String, depth: Int) throws {
        var (type, address, attributeCount): (Int32, UInt64, UInt64) = (0, 0, 0)
        guard finetune_h5_object(object, &type, &address, &attributeCount) == 0 else {
            return report(path, "is damaged: \(String(cString: finetune_h5_last_error()))")
        }
        guard visited.insert(address).inserted else { return report(path, "is a second link to the same object") }
        guard visited.count <= Self.maximumObjects else {
            throw ReadFailure(description: "it holds more than \(Self.maximumObjects) objects")
        }
        let known = attributes.count
        for index in 0..<min(attributeCount, 10_000) { try readAttribute(of: object, index, path) }
        let isBrainFloat = attributes[known...].contains {
            $0["name"] == "dtype" && $0["value"] == [.string(Self.bfloat16)]
        }
        switch type {
        case Int32(H5O_TYPE_GROUP.rawValue):
            groups.append(.string(path))
            try visitMembers(of: object, path, depth)
        case Int32(H5O_TYPE_DATASET.rawValue): describe(dataset: object, path, isBrainFloat: isBrainFloat)
        default: report(path, "is a named type")
        }
    }

    private func visitMembers(of group: hid_t, _ path: String, _ depth: Int) throws {
        var info = H5G_info_t()
        guard H5Gget_info(group, &info) >= 0 else { return report(path, "is a damaged group") }
        guard info.nlinks <= UInt64(Self.maximumObjects) else {
            throw ReadFailure(
                description:
                    "the group '/\(path)' holds \(info.nlinks) objects, at most \(Self.maximumObjects) are read")
        }
        for index in 0..<info.nlinks {
            let length = H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, index, nil, 0, 0)
            guard length > 0, length < 4096 else {
                report(path, "has a link without a proper name")
                continue
            }
            var buffer = [CChar](repeating: 0, count: Int(length) + 1)
            guard H5Lget_name_by_idx(group, ".", H5_INDEX_NAME, H5_ITER_INC, index, &buffer, buffer.count, 0) == length
            else { continue }
            let bytes = buffer.dropLast().map { UInt8(bitPattern: $0) }
            guard let name = String(validating: bytes, as: UTF8.self), !name.contains("/") else {
                report(path, "has a link whose name is not UTF-8 text")
                continue
            }
            let child = path.isEmpty ? name : path + "/" + name
            if path.isEmpty, name == "optimizer_weights" || name == "optimizer" { continue }
            let link = finetune_h5_link_type(group, name)
            guard link == Int32(H5L_TYPE_HARD.rawValue) else {
                report(
                    child,
                    link == Int32(H5L_TYPE_SOFT.rawValue)
                        ? "is a soft link; only data inside the file are read"
                        : "is a link to another file; only data inside the file are read")
                continue
            }
            guard depth < Self.maximumDepth else {
                report(child, "lies deeper than \(Self.maximumDepth) groups")
                continue
            }
            let object = H5Oopen(group, name, 0)
            guard object >= 0 else {
                report(child, "is damaged: \(String(cString: finetune_h5_last_error()))")
                continue
            }
            defer { H5Oclose(object) }
            try visit(object: object, path: child, depth: depth + 1)
        }
    }

    // MARK: Datasets

    private func describe(dataset: hid_t, _ path: String, isBrainFloat: Bool) {
        let space = H5Dget_space(dataset)
        let type = H5Dget_type(dataset)
        let creation = H5Dget_create_plist(dataset)
        defer {
            H5Sclose(space)
            H5Tclose(type)
            H5Pclose(creation)
        }
        guard space >= 0, type >= 0, creation >= 0 else { return report(path, "is damaged") }
        let size = H5Tget_size(type)
        let name: String
        switch H5Tget_class(type) {
        case H5T_FLOAT: name = "float\(size * 8)"
        case H5T_OPAQUE where size == 2 && isBrainFloat: name = Self.bfloat16
        case H5T_INTEGER where size == 2 && isBrainFloat: name = Self.bfloat16
        case H5T_INTEGER: name = (H5Tget_sign(type) == H5T_SGN_NONE ? "uint" : "int") + "\(size * 8)"
        case H5T_STRING: return report(path, "holds text, numbers were expected")
        case H5T_COMPOUND: return report(path, "holds records, numbers were expected")
        default: return report(path, "holds neither floats nor integers")
        }
        guard size > 0, size <= 8 else { return report(path, "holds numbers of \(size) bytes") }
        let rank = H5Sget_simple_extent_ndims(space)
        guard rank >= 0, rank <= 8 else { return report(path, "has \(rank) dimensions, at most 8 are read") }
        var sizes = [hsize_t](repeating: 0, count: Int(rank))
        guard rank == 0 || H5Sget_simple_extent_dims(space, &sizes, nil) == rank else {
            return report(path, "has a damaged shape")
        }
        guard H5Pget_external_count(creation) == 0 else {
            return report(path, "keeps its data in another file; only data inside the file are read")
        }
        guard H5Pget_layout(creation) != H5D_VIRTUAL else {
            return report(path, "is a virtual dataset; only data inside the file are read")
        }
        for index in 0..<max(0, H5Pget_nfilters(creation)) {
            let filter = H5Pget_filter2(creation, UInt32(index), nil, nil, nil, 0, nil, nil)
            guard Self.knownFilters.contains(filter) else {
                return report(
                    path,
                    "is compressed with filter \(filter), which libhdf5 has not. Save it with gzip or without compression"
                )
            }
        }
        var count = 1
        for size in sizes {
            guard size > 0 else { return report(path, "has a dimension of size 0") }
            let (product, overflow) = count.multipliedReportingOverflow(by: Int(clamping: size))
            guard !overflow, product <= Self.maximumBytes else {
                return report(
                    path, "declares \(sizes.map { String($0) }.joined(separator: "×")) numbers, which no file holds")
            }
            count = product
        }
        let stored = H5Dget_storage_size(dataset)
        guard stored > 0, count * size / Self.maximumRatio <= Int(clamping: stored) else {
            return report(path, "declares \(count * size) bytes and stores \(stored)")
        }
        let (bytes, overflow) = (count * 4).addingReportingOverflow(Self.alignment - 1)
        let rounded = bytes / Self.alignment * Self.alignment
        guard !overflow, byteCount + rounded <= byteBudget else {
            return report(path, "makes its data larger than \(byteBudget) bytes, more than such a file can hold")
        }
        guard let chunkBytes = chunkBytes(creation, elementSize: size) else {
            return report(path, "is in chunks larger than it is read in")
        }
        datasets.append(
            Dataset(
                path: path, shape: sizes.map { Int($0) }, type: name, offset: byteCount, count: count,
                chunkBytes: chunkBytes))
        byteCount += rounded
    }

    /// Bytes of a chunk, 0 without chunks, nil where they are too many.
    private func chunkBytes(_ creation: hid_t, elementSize: Int) -> Int? {
        guard H5Pget_layout(creation) == H5D_CHUNKED else { return 0 }
        var sizes = [hsize_t](repeating: 0, count: 8)
        let rank = H5Pget_chunk(creation, 8, &sizes)
        guard rank > 0 else { return nil }
        var bytes = elementSize
        for size in sizes.prefix(Int(rank)) {
            let (product, overflow) = bytes.multipliedReportingOverflow(by: Int(clamping: size))
            guard !overflow, product <= byteBudget else { return nil }
            bytes = product
        }
        return bytes
    }

    // MARK: Attributes

    private func readAttribute(of object: hid_t, _ index: UInt64, _ path: String) throws {
        let attribute = H5Aopen_by_idx(object, ".", H5_INDEX_NAME, H5_ITER_INC, index, 0, 0)
        guard attribute >= 0 else { return }
        let type = H5Aget_type(attribute)
        let space = H5Aget_space(attribute)
        defer {
            H5Sclose(space)
            H5Tclose(type)
            H5Aclose(attribute)
        }
        var nameBuffer = [CChar](repeating: 0, count: 1024)
        guard type >= 0, space >= 0, H5Aget_name(attribute, nameBuffer.count, &nameBuffer) > 0 else { return }
        let name = String(decoding: nameBuffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let count = Int(clamping: H5Sget_simple_extent_npoints(space))
        guard count >= 0, count <= 1_000_000 else { return }
        let value: JSON
        switch H5Tget_class(type) {
        case H5T_STRING: value = try strings(attribute, type, space, count)
        case H5T_FLOAT, H5T_INTEGER:
            guard count <= 64 else { return }
            var numbers = [Double](repeating: 0, count: count)
            guard count == 0 || H5Aread(attribute, finetune_h5_double(), &numbers) >= 0 else { return }
            value = JSON(numbers)
        default: return
        }
        attributes.append(["path": .string(path), "name": .string(name), "value": value])
    }

    private func strings(_ attribute: hid_t, _ type: hid_t, _ space: hid_t, _ count: Int) throws -> JSON {
        guard count > 0 else { return .array([]) }
        var texts: [JSON] = []
        if H5Tis_variable_str(type) > 0 {
            var pointers = [UnsafeMutablePointer<CChar>?](repeating: nil, count: count)
            guard H5Aread(attribute, type, &pointers) >= 0 else { return .array([]) }
            for pointer in pointers {
                let text = pointer.map { String(cString: $0) } ?? ""
                try account(text.utf8.count)
                texts.append(.string(text))
            }
            _ = finetune_h5_reclaim(type, space, &pointers)
        } else {
            let size = Int(H5Tget_size(type))
            try account(size.multipliedReportingOverflow(by: count).overflow ? .max : size * count)
            var buffer = [UInt8](repeating: 0, count: size * count)
            guard H5Aread(attribute, type, &buffer) >= 0 else { return .array([]) }
            for start in stride(from: 0, to: size * count, by: max(size, 1)) {
                texts.append(.string(String(decoding: buffer[start..<start + size].prefix { $0 != 0 }, as: UTF8.self)))
            }
        }
        return .array(texts)
    }

    private func account(_ bytes: Int) throws {
        guard bytes <= Self.maximumTextBytes - textBytes else {
            throw ReadFailure(description: "its attributes hold more than \(Self.maximumTextBytes) bytes of text")
        }
        textBytes += bytes
    }
}
