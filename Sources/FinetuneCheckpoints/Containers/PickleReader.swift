// Reads pickles (pickletools.py of CPython, protocols 2 to 5). A pickle is a program; here it is never run. Objects are
// kept as names and data; a call of anything that is not known to make only data is an error that names it.

internal import FinetuneFiles

/// Reads one pickle after the other.
struct PickleReader {
    private static let maximumBytes = 64 << 20
    private static let maximumSteps = 10_000_000
    private static let maximumStack = 1_000_000
    private static let maximumMemo = 10_000_000

    private enum Slot {
        case mark
        case value(PickleValue)
    }

    private var bytes: PickleBytes
    private var stack: [Slot] = []
    private var memo: [Int: PickleValue] = [:]
    private var steps = 0
    /// How many elements calls may still copy, such as `list(another)`.
    var copies = 4_000_000
    var pickle = Pickle()

    /// - Parameter position: Where the first pickle begins.
    init(_ source: ByteSource, at position: Int = 0) {
        bytes = PickleBytes(source, at: position, limit: Self.maximumBytes)
    }

    /// Where the next pickle begins.
    var position: Int { bytes.position }

    /// - Throws: `PickleError` for what is no pickle of data.
    static func read(_ bytes: [UInt8]) throws -> Pickle {
        var reader = PickleReader(.bytes(bytes))
        return try reader.next()
    }

    /// Reads the next pickle.
    ///
    /// - Throws: `PickleError` for what is no pickle of data, `FileError` if the system does not let the file be read.
    mutating func next() throws -> Pickle {
        (stack, memo, pickle) = ([], [:], Pickle())
        while steps < Self.maximumSteps {
            steps += 1
            if let value = try step() {
                pickle.root = value
                return pickle
            }
            guard stack.count <= Self.maximumStack, memo.count <= Self.maximumMemo else { break }
        }
        throw PickleError(description: "its pickle does not end")
    }

    var cut: PickleError {
        PickleError(
            description: bytes.isLimited
                ? "its pickle is damaged, or larger than the \(Self.maximumBytes >> 20) MiB that are read"
                : "its pickle is cut short or damaged")
    }

    // MARK: Reading what follows a code

    private mutating func number<Number: FixedWidthInteger>(_ type: Number.Type) throws -> Int {
        guard let number = try bytes.number(type), let value = Int(exactly: number) else { throw cut }
        return value
    }

    private mutating func take(_ count: Int) throws -> ArraySlice<UInt8> {
        guard let bytes = try bytes.take(count) else { throw cut }
        return bytes
    }

    private mutating func text(_ count: Int) throws -> PickleValue {
        guard let text = String(validating: try take(count), as: UTF8.self) else { throw cut }
        return .text(text)
    }

    /// What Python 2 calls a string: text, or bytes where it is not UTF-8.
    private mutating func textOrBytes(_ count: Int) throws -> PickleValue {
        let bytes = try take(count)
        return String(validating: bytes, as: UTF8.self).map { .text($0) } ?? .bytes(Array(bytes))
    }

    private mutating func line() throws -> String {
        var line: [UInt8] = []
        while line.count < 4096 {
            let byte = UInt8(truncatingIfNeeded: try number(UInt8.self))
            if byte != 10 {
                line.append(byte)
                continue
            }
            guard let text = String(validating: line, as: UTF8.self) else { break }
            return text
        }
        throw cut
    }

    // MARK: The stack

    mutating func push(_ value: PickleValue) { stack.append(.value(value)) }

    private mutating func pop() throws -> PickleValue {
        guard case .value(let value)? = stack.popLast() else { throw cut }
        return value
    }

    private func top() throws -> PickleValue {
        guard case .value(let value)? = stack.last else { throw cut }
        return value
    }

    /// The values above the last mark, which is dropped too.
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
        switch try top() {
        case .list(let list): pickle.lists[list] += values
        case .object: break  // A list of another class: nothing reads its elements.
        default: throw cut
        }
    }

    private mutating func set(_ pairs: [PickleValue]) throws {
        guard pairs.count % 2 == 0 else { throw cut }
        let dictionary: Int
        switch try top() {
        case .dictionary(let number): dictionary = number
        case .object(let object):
            dictionary = pickle.objects[object].dictionary ?? pickle.dictionaries.count
            if dictionary == pickle.dictionaries.count { pickle.dictionaries.append([]) }
            pickle.objects[object].dictionary = dictionary
        default: throw cut
        }
        for index in stride(from: 0, to: pairs.count, by: 2) {
            pickle.dictionaries[dictionary].append((pairs[index], pairs[index + 1]))
        }
    }

    private mutating func pushDictionary(_ pairs: [PickleValue] = []) throws {
        pickle.dictionaries.append([])
        push(.dictionary(pickle.dictionaries.count - 1))
        try set(pairs)
    }

    mutating func list(_ values: [PickleValue]) -> PickleValue {
        pickle.lists.append(values)
        return .list(pickle.lists.count - 1)
    }

    private mutating func tuple(_ values: [PickleValue]) -> PickleValue {
        pickle.lists.append(values)
        return .tuple(pickle.lists.count - 1)
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
        case UInt8(ascii: "q"): memo[try number(UInt8.self)] = try top()
        case UInt8(ascii: "r"): memo[try number(UInt32.self)] = try top()
        case 0x94: memo[memo.count] = try top()
        case UInt8(ascii: "h"): push(try remembered(try number(UInt8.self)))
        case UInt8(ascii: "j"): push(try remembered(try number(UInt32.self)))
        default:
            guard try pushScalar(code) || takeContainer(code) || takeObject(code) else {
                throw PickleError(description: "its pickle has the code \(code), which no state dict has")
            }
        }
        return nil
    }

    /// Numbers, texts and bytes.
    ///
    /// - Returns: Whether `code` was one of these.
    private mutating func pushScalar(_ code: UInt8) throws -> Bool {
        switch code {
        case UInt8(ascii: "N"): push(.none)
        case 0x88: push(.bool(true))
        case 0x89: push(.bool(false))
        case UInt8(ascii: "J"): push(.integer(try number(Int32.self)))
        case UInt8(ascii: "K"): push(.integer(try number(UInt8.self)))
        case UInt8(ascii: "M"): push(.integer(try number(UInt16.self)))
        case 0x8A: push(try longInteger(try number(UInt8.self)))
        case 0x8B: push(try longInteger(try number(Int32.self)))
        case UInt8(ascii: "I"):  // Python 2 writes whole numbers of more than 32 bits so.
            guard let value = Int(try line()) else { throw cut }
            push(.integer(value))
        case UInt8(ascii: "G"):
            push(.number(Double(bitPattern: try take(8).reduce(0) { $0 << 8 | UInt64($1) })))  // Big-endian.
        case UInt8(ascii: "X"): push(try text(try number(UInt32.self)))
        case 0x8C: push(try text(try number(UInt8.self)))
        case 0x8D: push(try text(try number(UInt64.self)))
        case UInt8(ascii: "T"): push(try textOrBytes(try number(Int32.self)))
        case UInt8(ascii: "U"): push(try textOrBytes(try number(UInt8.self)))
        case UInt8(ascii: "C"): push(.bytes(Array(try take(try number(UInt8.self)))))
        case UInt8(ascii: "B"): push(.bytes(Array(try take(try number(UInt32.self)))))
        case 0x8E, 0x96: push(.bytes(Array(try take(try number(UInt64.self)))))
        default: return false
        }
        return true
    }

    /// Tuples, lists, sets and dictionaries.
    private mutating func takeContainer(_ code: UInt8) throws -> Bool {
        switch code {
        case UInt8(ascii: ")"): push(tuple([]))
        case 0x85: push(tuple([try pop()]))
        case 0x86:
            let second = try pop()
            push(tuple([try pop(), second]))
        case 0x87:
            let (third, second) = (try pop(), try pop())
            push(tuple([try pop(), second, third]))
        case UInt8(ascii: "t"): push(tuple(try popToMark()))
        case UInt8(ascii: "]"), 0x8F: push(list([]))  // An empty list, or an empty set.
        case UInt8(ascii: "l"), 0x91: push(list(try popToMark()))  // A list, or a frozen set.
        case UInt8(ascii: "a"): try append([try pop()])
        case UInt8(ascii: "e"), 0x90: try append(try popToMark())
        case UInt8(ascii: "}"): try pushDictionary()
        case UInt8(ascii: "d"): try pushDictionary(try popToMark())
        case UInt8(ascii: "s"):
            let value = try pop()
            try set([try pop(), value])
        case UInt8(ascii: "u"): try set(try popToMark())
        default: return false
        }
        return true
    }

    /// Names, storages, calls and objects.
    private mutating func takeObject(_ code: UInt8) throws -> Bool {
        switch code {
        case UInt8(ascii: "c"): push(.global(PickleNames.current(try line(), try line())))
        case 0x93:
            guard case .text(let name) = try pop(), case .text(let module) = try pop() else { throw cut }
            push(.global(PickleNames.current(module, name)))
        case UInt8(ascii: "Q"): push(try persistent(try pop()))
        case UInt8(ascii: "R"):
            let arguments = try arguments(try pop())
            push(try result(of: try pop(), arguments))
        case UInt8(ascii: "o"):
            let values = try popToMark()
            guard let function = values.first else { throw cut }
            push(try result(of: function, Array(values.dropFirst())))
        case UInt8(ascii: "i"):
            let function = PickleValue.global(PickleNames.current(try line(), try line()))
            push(try result(of: function, try popToMark()))
        case 0x81:
            let arguments = try arguments(try pop())
            push(try object(of: try pop(), arguments))
        case 0x92:
            _ = try pop()  // Arguments with names.
            let arguments = try arguments(try pop())
            push(try object(of: try pop(), arguments))
        case UInt8(ascii: "b"): try build(try pop())
        default: return false
        }
        return true
    }

    private func arguments(_ value: PickleValue) throws -> [PickleValue] {
        guard case .tuple(let number) = value else { throw cut }
        return pickle.lists[number]
    }

    private mutating func longInteger(_ count: Int) throws -> PickleValue {
        let bytes = try take(count)
        guard count <= 8 else { return .none }  // A number that large is no size and no weight.
        var value: UInt64 = bytes.last.map { $0 & 0x80 != 0 } == true ? .max : 0
        for byte in bytes.reversed() { value = value << 8 | UInt64(byte) }
        return .integer(Int(Int64(bitPattern: value)))
    }

    /// Sets the state of an object. A state dict's `_metadata` is set on the dictionary after it was filled; only an
    /// object's state is kept.
    private mutating func build(_ state: PickleValue) throws {
        switch try top() {
        case .object(let object): pickle.objects[object].state = state
        case .dictionary, .list, .tensor, .unreadTensor: break
        default: throw PickleError(description: "its pickle sets the state of something that is no object")
        }
    }
}
