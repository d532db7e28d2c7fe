// What pickles of PyTorch make by calls: tensors and their storages, dictionaries, and objects that are only data.

extension PickleReader {
    // MARK: Calls

    /// What a call makes, if it is only data.
    ///
    /// - Throws: `PickleError` that names the function where it could run anything.
    mutating func result(of function: PickleValue, _ arguments: [PickleValue]) throws -> PickleValue {
        guard case .global(let name) = function else { throw foreign(function) }
        if let kind = PickleNames.unreadTensors[name] { return .unreadTensor("is \(kind), which is not read") }
        if PickleNames.tensorWrappers.contains(name), let first = arguments.first, Self.isTensor(first) { return first }
        if PickleNames.dictionaries.contains(name) { return try dictionary(name, arguments) }
        if PickleNames.lists.contains(name) { return try sequence(name, arguments) }
        if PickleNames.arrays.contains(name) { return object("numpy.ndarray", arguments) }
        switch (name, arguments.count) {
        case ("torch._utils._rebuild_tensor_v2", 6...7), ("torch._utils._rebuild_tensor", 4):
            return try tensor(arguments)
        case ("torch._utils._rebuild_tensor_v3", 7...8): return try tensor(arguments, type: arguments[6])
        case ("torch._tensor._rebuild_from_type_v2", 4), ("torch._tensor._rebuild_from_type", 4):
            return try tensor(ofType: arguments)
        case ("torch.Size", 1): return arguments[0]
        case ("collections.defaultdict", _): return try dictionary(name, Array(arguments.dropFirst()))
        case ("builtins.bytes", _), ("builtins.bytearray", _), ("_codecs.encode", 1...2):
            return try bytes(name, arguments)
        case ("numpy.core.multiarray.scalar", _): return scalar(arguments) ?? object("numpy.generic", arguments)
        case ("copyreg._reconstructor", 3): return try reconstructed(arguments)
        case ("copyreg.__newobj__", 1...): return try object(of: arguments[0], Array(arguments.dropFirst()))
        case ("copyreg.__newobj_ex__", 3): return try object(of: arguments[0], pickle.elements(of: arguments[1]) ?? [])
        case ("builtins.getattr", 2):
            // Members of classes: methods in tables of an object, members of enumerations.
            guard case .global(let owner) = arguments[0], case .text(let member) = arguments[1] else {
                throw foreign(function)
            }
            guard !PickleNames.acts(owner) else { throw foreign(.attribute("\(owner).\(member)")) }
            return .attribute("\(owner).\(member)")
        default:
            guard PickleNames.isInert(name, arguments) else { throw foreign(function) }
            return object(name, arguments)
        }
    }

    private func foreign(_ function: PickleValue) -> PickleError {
        let name =
            switch function {
            case .global(let name), .attribute(let name): "'\(name)'"
            case .object(let number): "an object of the class '\(pickle.objects[number].className)'"
            default: "an object"
            }
        return PickleError(
            description:
                "its pickle calls \(name), which could run anything; only tensors and plain data are read. Save model.state_dict() alone"
        )
    }

    /// Counts elements that a call copies, so that a short pickle cannot fill the memory.
    private mutating func copy(_ count: Int) throws {
        copies -= count
        guard copies >= 0 else {
            throw PickleError(description: "its pickle copies more elements than a state dict has")
        }
    }

    // MARK: Objects

    private mutating func object(_ className: String, _ arguments: [PickleValue]) -> PickleValue {
        pickle.objects.append(PickleObject(className: className, arguments: arguments))
        return .object(pickle.objects.count - 1)
    }

    /// A new object of a class. Python would run none of the class's code but `__new__`; here nothing is run.
    ///
    /// - Throws: `PickleError` that names the class where its objects may do something.
    mutating func object(of type: PickleValue, _ arguments: [PickleValue]) throws -> PickleValue {
        switch type {
        case .global(let name) where PickleNames.mayBeCreated(name), .attribute(let name): object(name, arguments)
        default: throw foreign(type)
        }
    }

    /// `copyreg._reconstructor(class, base, content)`
    private mutating func reconstructed(_ arguments: [PickleValue]) throws -> PickleValue {
        let value = try object(of: arguments[0], [arguments[2]])
        if case .object(let object) = value {
            pickle.objects[object].dictionary = pickle.dictionaryIndex(of: arguments[2])
        }
        return value
    }

    /// A dictionary from nothing, another one, or a list of pairs.
    private mutating func dictionary(_ name: String, _ arguments: [PickleValue]) throws -> PickleValue {
        var pairs: [(key: PickleValue, value: PickleValue)] = []
        if let first = arguments.first {
            if let other = pickle.dictionaryIndex(of: first) {
                pairs = pickle.dictionaries[other]
            } else if let items = pickle.elements(of: first) {
                for item in items {
                    guard let pair = pickle.elements(of: item), pair.count == 2 else { throw cut }
                    pairs.append((pair[0], pair[1]))
                }
            } else {
                return object(name, arguments)
            }
        }
        try copy(pairs.count)
        pickle.dictionaries.append(pairs)
        return .dictionary(pickle.dictionaries.count - 1)
    }

    /// A list, tuple or set from nothing or another one.
    private mutating func sequence(_ name: String, _ arguments: [PickleValue]) throws -> PickleValue {
        guard let first = arguments.first else { return list([]) }
        guard let elements = pickle.elements(of: first) else { return object(name, arguments) }
        try copy(elements.count)
        return list(elements)
    }

    /// Protocol 2 has no bytes: Python 3 writes them as a text to be encoded in Latin-1.
    private mutating func bytes(_ name: String, _ arguments: [PickleValue]) throws -> PickleValue {
        guard let first = arguments.first else { return .bytes([]) }
        guard case .text(let text) = first else {
            if case .bytes = first { return first }
            return object(name, arguments)
        }
        try copy(text.utf8.count / 8 + 1)
        return .bytes(text.unicodeScalars.map { UInt8(truncatingIfNeeded: $0.value) })
    }

    /// A NumPy scalar: `(numpy.dtype('f8', …), b'…')`; nil where it is not a little-endian number.
    private func scalar(_ arguments: [PickleValue]) -> PickleValue? {
        guard arguments.count == 2, case .object(let type) = arguments[0],
            case .text(let code)? = pickle.objects[type].arguments.first,
            pickle.objects[type].className == "numpy.dtype"
        else { return nil }
        if case .text(">")? = pickle.elements(of: pickle.objects[type].state)?.dropFirst().first { return nil }
        let bytes: [UInt8]
        switch arguments[1] {
        case .bytes(let content): bytes = content
        case .text(let text): bytes = Array(text.utf8)  // Python 2 has one type for both.
        default: return nil
        }
        guard bytes.count <= 8, let size = Int(code.dropFirst()), bytes.count == size else { return nil }
        let bits = bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        switch code {
        case "f8": return .number(Double(bitPattern: bits))
        case "f4": return .number(Double(Float(bitPattern: UInt32(truncatingIfNeeded: bits))))
        case "f2": return .number(Double(Float16(bitPattern: UInt16(truncatingIfNeeded: bits))))
        case "b1": return .bool(bits != 0)
        case "i1", "i2", "i4", "i8":
            let shift = 64 - 8 * size
            return .integer(Int(Int64(bitPattern: bits << UInt64(shift)) >> Int64(shift)))
        case "u1", "u2", "u4", "u8": return Int(exactly: bits).map { .integer($0) }
        default: return nil
        }
    }

    // MARK: Storages and tensors

    /// What stands outside of the pickle: `('storage', torch.FloatStorage, '0', 'cpu', 864)`, in files from before
    /// PyTorch 1.6 with a sixth member, None or `(key, offset, count)` of a part; or `('module', class, file, source)`.
    mutating func persistent(_ value: PickleValue) throws -> PickleValue {
        guard case .tuple(let number) = value else { throw cut }
        let parts = pickle.lists[number]
        if parts.count == 4, case .text("module") = parts[0], case .global = parts[1] { return parts[1] }
        guard 5...6 ~= parts.count, case .text("storage") = parts[0], case .global(let name) = parts[1],
            case .text(let key) = parts[2], case .integer(let count) = parts[4], count >= 0,
            let (type, size) = PickleNames.storage(name)
        else { throw cut }
        var storage = PickleStorage(
            type: type, className: name, elementSize: size, key: key, count: count, part: 0..<count)
        if pickle.storages[key] == nil { pickle.storages[key] = storage }
        if parts.count == 6, let view = pickle.elements(of: parts[5]) {
            guard view.count == 3, case .integer(let start) = view[1], case .integer(let length) = view[2],
                start >= 0, start <= count, length >= 0, length <= count - start
            else { throw cut }
            storage.part = start..<start + length
        }
        return .storage(storage)
    }

    private static func isTensor(_ value: PickleValue) -> Bool {
        switch value {
        case .tensor, .unreadTensor: true
        default: false
        }
    }

    /// `(function, type, its arguments, state)`: a parameter, or a tensor of a subclass, which is read as a tensor.
    private mutating func tensor(ofType arguments: [PickleValue]) throws -> PickleValue {
        guard case .global(let name) = arguments[0], !name.hasPrefix("torch._tensor."),
            let inner = pickle.elements(of: arguments[2])
        else { throw foreign(arguments[0]) }
        let value = try result(of: arguments[0], inner)
        guard Self.isTensor(value) else { throw foreign(arguments[0]) }
        return value
    }

    /// - Parameter dtype: A name such as `torch.uint16`, for storages that have no type.
    private func tensor(_ arguments: [PickleValue], type dtype: PickleValue? = nil) throws -> PickleValue {
        func wholes(_ value: PickleValue) throws -> [Int] {
            guard let values = pickle.elements(of: value), values.count <= 8 else { throw cut }
            return try values.map {
                guard case .integer(let whole) = $0, whole >= 0 else { throw cut }
                return whole
            }
        }
        guard case .storage(var storage) = arguments[0], case .integer(let offset) = arguments[1], offset >= 0 else {
            throw cut
        }
        let (shape, strides) = (try wholes(arguments[2]), try wholes(arguments[3]))
        guard shape.count == strides.count else { throw cut }
        if case .global(let name)? = dtype {
            guard let type = ElementType(rawValue: String(name.dropFirst("torch.".count))) else {
                return .unreadTensor("has the type \(name), which is not read")
            }
            let size = type.byteCount
            storage.type = type
            storage.part = storage.part.lowerBound / size..<storage.part.upperBound / size
        }
        guard let type = storage.type else {
            return .unreadTensor("has numbers in a \(storage.className), which is not read")
        }
        return .tensor(PickleTensor(storage: storage, type: type, offset: offset, shape: shape, strides: strides))
    }
}
