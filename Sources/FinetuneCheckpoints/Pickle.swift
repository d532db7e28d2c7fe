// Python pickles as data (pickletools.py of CPython, protocols 0 to 5): numbers, texts, lists, dictionaries, and the few
// constructors that a PyTorch state dict is made of. A pickle is a program; here it is never run. Whatever would call
// anything else is an error that names it.

internal import FinetuneFiles

/// What a pickle says. Lists and dictionaries are filled after they were made and may hold each other, even themselves;
/// so they are numbered and lie side by side.
struct Pickle {
    fileprivate(set) var root = PickleValue.none
    fileprivate(set) var lists: [[PickleValue]] = []
    fileprivate(set) var dictionaries: [[(key: PickleValue, value: PickleValue)]] = []
}

/// A value in a pickle.
indirect enum PickleValue {
    case none
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case text(String)
    case bytes([UInt8])
    case tuple([PickleValue])
    /// The number of a list of the pickle.
    case list(Int)
    case dictionary(Int)
    /// A class or function by its name, which stands for nothing by itself.
    case global(String)
    case storage(PickleStorage)
    case tensor(PickleTensor)

}

/// The numbers behind one or more tensors.
struct PickleStorage {
    var type: ElementType
    /// The name of its member in the archive.
    var key: String
    var count: Int
}

/// A view of a storage.
struct PickleTensor {
    var storage: PickleStorage
    /// Elements, not bytes.
    var offset: Int
    var shape: [Int]
    var strides: [Int]
}

/// Why a pickle is not read.
struct PickleError: Error, CustomStringConvertible {
    let description: String
}

/// Reads one pickle.
struct PickleReader {
    private static let maximumSteps = 10_000_000
    private static let maximumStack = 1_000_000
    private static let maximumMemo = 10_000_000

    private enum Slot {
        case mark
        case value(PickleValue)
    }

    private var reader: ByteReader
    private var stack: [Slot] = []
    private var memo: [Int: PickleValue] = [:]
    private var pickle = Pickle()

    private init(_ bytes: [UInt8]) { reader = ByteReader(bytes) }

    /// - Throws: `PickleError` for what is no pickle of data.
    static func read(_ bytes: [UInt8]) throws -> Pickle {
        var reader = PickleReader(bytes)
        for _ in 0..<maximumSteps {
            if let value = try reader.step() {
                reader.pickle.root = value
                return reader.pickle
            }
            guard reader.stack.count <= maximumStack, reader.memo.count <= maximumMemo else { break }
        }
        throw PickleError(description: "its pickle does not end")
    }

    private let cut = PickleError(description: "its pickle is cut short or damaged")

    // MARK: Reading what follows a code

    private mutating func number<Number: FixedWidthInteger>(_ type: Number.Type) throws -> Int {
        guard let number = reader.number(type), let value = Int(exactly: number) else { throw cut }
        return value
    }

    private mutating func take(_ count: Int) throws -> ArraySlice<UInt8> {
        guard let bytes = reader.take(count) else { throw cut }
        return bytes
    }

    private mutating func text(_ count: Int) throws -> PickleValue {
        guard let text = String(validating: try take(count), as: UTF8.self) else { throw cut }
        return .text(text)
    }

    private mutating func line() throws -> String {
        guard let length = reader.bytes[min(reader.position, reader.bytes.count)...].firstIndex(of: 10) else {
            throw cut
        }
        let bytes = try take(length - reader.position)
        _ = try take(1)
        guard let text = String(validating: bytes, as: UTF8.self) else { throw cut }
        return text
    }

    // MARK: The stack

    private mutating func push(_ value: PickleValue) { stack.append(.value(value)) }

    private mutating func pop() throws -> PickleValue {
        guard case .value(let value)? = stack.popLast() else { throw cut }
        return value
    }

    private func top() throws -> PickleValue {
        guard case .value(let value)? = stack.last else { throw cut }
        return value
    }

    /// Everything above the last mark, which goes too.
    private mutating func popToMark() throws -> [PickleValue] {
        var values: [PickleValue] = []
        while let slot = stack.popLast() {
            switch slot {
            case .mark: return values.reversed()
            case .value(let value): values.append(value)
            }
        }
        throw cut
    }

    private mutating func append(_ values: [PickleValue]) throws {
        guard case .list(let list) = try top() else { throw cut }
        pickle.lists[list] += values
    }

    private mutating func set(_ pairs: [PickleValue]) throws {
        guard case .dictionary(let dictionary) = try top(), pairs.count % 2 == 0 else { throw cut }
        for index in stride(from: 0, to: pairs.count, by: 2) {
            pickle.dictionaries[dictionary].append((pairs[index], pairs[index + 1]))
        }
    }

    private mutating func pushDictionary(_ pairs: [PickleValue] = []) throws {
        pickle.dictionaries.append([])
        push(.dictionary(pickle.dictionaries.count - 1))
        try set(pairs)
    }

    private mutating func pushList(_ values: [PickleValue] = []) {
        pickle.lists.append(values)
        push(.list(pickle.lists.count - 1))
    }

    private func remembered(_ index: Int) throws -> PickleValue {
        guard let value = memo[index] else { throw cut }
        return value
    }

    // MARK: The codes

    /// Takes one step; gives the pickle's value at its end.
    private mutating func step() throws -> PickleValue? {
        let code = UInt8(truncatingIfNeeded: try number(UInt8.self))
        switch code {
        case UInt8(ascii: "."): return try pop()
        case 0x80: _ = try take(1)  // PROTO
        case 0x95: _ = try take(8)  // FRAME
        case UInt8(ascii: "("): stack.append(.mark)
        case UInt8(ascii: "0"): if stack.popLast() == nil { throw cut }
        case UInt8(ascii: "1"): _ = try popToMark()
        case UInt8(ascii: "2"): push(try top())
        case UInt8(ascii: "N"): push(.none)
        case 0x88: push(.bool(true))
        case 0x89: push(.bool(false))
        case UInt8(ascii: "J"): push(.integer(try number(Int32.self)))
        case UInt8(ascii: "K"): push(.integer(try number(UInt8.self)))
        case UInt8(ascii: "M"): push(.integer(try number(UInt16.self)))
        case 0x8A: push(try longInteger(try number(UInt8.self)))
        case UInt8(ascii: "G"):
            push(.number(Double(bitPattern: try take(8).reduce(0) { $0 << 8 | UInt64($1) })))  // Big-endian.
        case UInt8(ascii: "X"): push(try text(try number(UInt32.self)))
        case 0x8C: push(try text(try number(UInt8.self)))
        case 0x8D: push(try text(try number(UInt64.self)))
        case UInt8(ascii: "T"): push(.bytes(Array(try take(try number(Int32.self)))))
        case UInt8(ascii: "U"), UInt8(ascii: "C"): push(.bytes(Array(try take(try number(UInt8.self)))))
        case UInt8(ascii: "B"): push(.bytes(Array(try take(try number(UInt32.self)))))
        case UInt8(ascii: ")"): push(.tuple([]))
        case 0x85: push(.tuple([try pop()]))
        case 0x86:
            let second = try pop()
            push(.tuple([try pop(), second]))
        case 0x87:
            let (third, second) = (try pop(), try pop())
            push(.tuple([try pop(), second, third]))
        case UInt8(ascii: "t"): push(.tuple(try popToMark()))
        case UInt8(ascii: "]"): pushList()
        case UInt8(ascii: "l"): pushList(try popToMark())
        case UInt8(ascii: "a"): try append([try pop()])
        case UInt8(ascii: "e"): try append(try popToMark())
        case UInt8(ascii: "}"): try pushDictionary()
        case UInt8(ascii: "d"): try pushDictionary(try popToMark())
        case UInt8(ascii: "s"):
            let value = try pop()
            try set([try pop(), value])
        case UInt8(ascii: "u"): try set(try popToMark())
        case UInt8(ascii: "q"): memo[try number(UInt8.self)] = try top()
        case UInt8(ascii: "r"): memo[try number(UInt32.self)] = try top()
        case 0x94: memo[memo.count] = try top()
        case UInt8(ascii: "h"): push(try remembered(try number(UInt8.self)))
        case UInt8(ascii: "j"): push(try remembered(try number(UInt32.self)))
        case UInt8(ascii: "c"): push(.global("\(try line()).\(try line())"))
        case 0x93:
            guard case .text(let name) = try pop(), case .text(let module) = try pop() else { throw cut }
            push(.global("\(module).\(name)"))
        case UInt8(ascii: "Q"): push(.storage(try storage(try pop())))
        case UInt8(ascii: "R"):
            guard case .tuple(let arguments) = try pop() else { throw cut }
            try call(try pop(), arguments)
        case UInt8(ascii: "b"): try build(try pop())
        case 0x81, UInt8(ascii: "o"), UInt8(ascii: "i"):  // NEWOBJ, OBJ, INST
            let values = stack.compactMap { slot in if case .value(let value) = slot { value } else { nil } }
            throw Self.foreign(values.suffix(2).first ?? .none)
        default: throw PickleError(description: "its pickle has the code \(code), which no state dict has")
        }
        return nil
    }

    private mutating func longInteger(_ count: Int) throws -> PickleValue {
        let bytes = try take(count)
        guard count <= 8 else { return .none }  // A number that large is no size and no weight.
        var value: UInt64 = bytes.last.map { $0 & 0x80 != 0 } == true ? .max : 0
        for byte in bytes.reversed() { value = value << 8 | UInt64(byte) }
        return .integer(Int(Int64(bitPattern: value)))
    }

    // MARK: What PyTorch writes

    private static let storages: [String: ElementType] = [
        "torch.FloatStorage": .float32, "torch.DoubleStorage": .float64, "torch.HalfStorage": .float16,
        "torch.BFloat16Storage": .bfloat16, "torch.LongStorage": .int64, "torch.IntStorage": .int32,
        "torch.ShortStorage": .int16, "torch.CharStorage": .int8, "torch.ByteStorage": .uint8,
        "torch.BoolStorage": .bool,
    ]

    /// `('storage', torch.FloatStorage, '0', 'cpu', 864)`
    private func storage(_ value: PickleValue) throws -> PickleStorage {
        guard case .tuple(let parts) = value, parts.count == 5, case .text("storage") = parts[0],
            case .global(let name) = parts[1], case .text(let key) = parts[2], case .integer(let count) = parts[4],
            count >= 0
        else { throw cut }
        guard let type = Self.storages[name] else {
            throw PickleError(description: "it holds a \(name), which is not read")
        }
        return PickleStorage(type: type, key: key, count: count)
    }

    private mutating func call(_ function: PickleValue, _ arguments: [PickleValue]) throws {
        guard case .global(let name) = function else { throw cut }
        switch (name, arguments.count) {
        case ("collections.OrderedDict", 0): try pushDictionary()
        case ("collections.OrderedDict", 1):
            guard case .list(let list) = arguments[0] else { throw cut }
            try pushDictionary(
                pickle.lists[list].flatMap { item -> [PickleValue] in
                    switch item {
                    case .list(let pair) where pickle.lists[pair].count == 2: return pickle.lists[pair]
                    case .tuple(let pair) where pair.count == 2: return pair
                    default: throw cut
                    }
                })
        case ("torch._utils._rebuild_tensor_v2", 6...7), ("torch._utils._rebuild_tensor", 4):
            push(try tensor(arguments))
        case ("torch._utils._rebuild_parameter", 3), ("torch.Size", 1), ("builtins.set", 1), ("__builtin__.set", 1):
            push(arguments[0])
        default: throw Self.foreign(function)
        }
    }

    private static func foreign(_ function: PickleValue) -> PickleError {
        let name = if case .global(let name) = function { "'\(name)'" } else { "an object" }
        return PickleError(
            description:
                "its pickle calls \(name), which could run anything; only tensors, dictionaries and numbers are read. Save model.state_dict() alone"
        )
    }

    private func tensor(_ arguments: [PickleValue]) throws -> PickleValue {
        func wholes(_ value: PickleValue) throws -> [Int] {
            guard case .tuple(let values) = value, values.count <= 8 else { throw cut }
            return try values.map {
                guard case .integer(let whole) = $0, whole >= 0 else { throw cut }
                return whole
            }
        }
        guard case .storage(let storage) = arguments[0], case .integer(let offset) = arguments[1], offset >= 0 else {
            throw cut
        }
        let (shape, strides) = (try wholes(arguments[2]), try wholes(arguments[3]))
        guard shape.count == strides.count else { throw cut }
        return .tensor(PickleTensor(storage: storage, offset: offset, shape: shape, strides: strides))
    }

    /// A state dict's `_metadata` is set on the dictionary after it was filled; nothing needs it.
    private func build(_ state: PickleValue) throws {
        guard case .dictionary = try top(), case .dictionary = state else {
            throw PickleError(
                description: "its pickle sets the state of an object; only tensors, dictionaries and numbers are read")
        }
    }
}
