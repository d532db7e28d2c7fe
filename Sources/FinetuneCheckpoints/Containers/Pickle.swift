// Python pickles as data: what one holds. `PickleReader` reads them and never runs them; `PickleNames` has the classes
// and functions whose results are only data.

/// The content of a pickle. Lists, dictionaries and objects are filled after they were made and may hold each other,
/// even themselves; so they are numbered and stored side by side.
struct Pickle {
    var root = PickleValue.none
    /// The elements of lists, tuples and sets.
    var lists: [[PickleValue]] = []
    var dictionaries: [[(key: PickleValue, value: PickleValue)]] = []
    var objects: [PickleObject] = []
    /// The first mention of each storage, by its key.
    var storages: [String: PickleStorage] = [:]
}

/// A value in a pickle.
enum PickleValue {
    case none
    case bool(Bool)
    case integer(Int)
    case number(Double)
    case text(String)
    case bytes([UInt8])
    /// The index of its elements in `Pickle.lists`.
    case tuple(Int)
    case list(Int)
    case dictionary(Int)
    case object(Int)
    /// A class or function by its full name. It is never looked up.
    case global(String)
    /// What `getattr` finds in a class, by its full name. It cannot be called.
    case attribute(String)
    indirect case storage(PickleStorage)
    indirect case tensor(PickleTensor)
    /// A tensor of a kind that is not read; the text follows its name in messages.
    case unreadTensor(String)
}

/// An object of a class, which is data here: the class is a name, and nothing of it is run.
struct PickleObject {
    /// The full name of the class, such as `argparse.Namespace`.
    var className: String
    /// What it was made from.
    var arguments: [PickleValue] = []
    /// What its class would restore it from; mostly the dictionary of its attributes.
    var state = PickleValue.none
    /// The index of its own entries if the class is a kind of dictionary.
    var dictionary: Int?
}

/// The numbers behind one or more tensors, or a part of them.
struct PickleStorage {
    /// Nil for numbers that are not read, such as complex ones.
    var type: ElementType?
    /// PyTorch's class, such as `torch.FloatStorage`.
    var className: String
    /// The bytes of one element; nil where the class is unknown.
    var elementSize: Int?
    /// Its name in the file.
    var key: String
    /// The elements of the whole storage.
    var count: Int
    /// The part of it that counts; files before PyTorch 0.4 have parts as storages of their own.
    var part: Range<Int>
}

/// A view of a storage.
struct PickleTensor {
    var storage: PickleStorage
    var type: ElementType
    /// Elements from the start of the storage's part, not bytes.
    var offset: Int
    var shape: [Int]
    var strides: [Int]
}

/// Why a pickle is not read.
struct PickleError: Error, CustomStringConvertible {
    let description: String
}

extension Pickle {
    /// The elements of a list, a tuple or a set; nil for anything else.
    func elements(of value: PickleValue) -> [PickleValue]? {
        switch value {
        case .list(let number), .tuple(let number): lists[number]
        default: nil
        }
    }

    /// The index of the entries of a dictionary, or of an object whose class is a kind of dictionary.
    func dictionaryIndex(of value: PickleValue) -> Int? {
        switch value {
        case .dictionary(let number): number
        case .object(let number): objects[number].dictionary
        default: nil
        }
    }

    /// The index of the dictionary of an object's attributes; where the class has slots, Python puts it into a tuple.
    func attributesIndex(of object: PickleObject) -> Int? {
        switch object.state {
        case .dictionary(let number): number
        case .tuple(let number): lists[number].lazy.compactMap { self.dictionaryIndex(of: $0) }.first
        default: nil
        }
    }
}
