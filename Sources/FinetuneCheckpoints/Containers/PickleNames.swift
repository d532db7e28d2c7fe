// The classes and functions in pickles whose results are only data, and the modules whose classes never are.

/// What the names in a pickle stand for. No name is ever looked up in a Python.
enum PickleNames {
    /// The name in today's Python and NumPy.
    static func current(_ module: String, _ name: String) -> String {
        let full = "\(module).\(name)"
        return renamed.reduce(full) { name, pair in
            name.hasPrefix(pair.0) ? pair.1 + name.dropFirst(pair.0.count) : name
        }
    }

    private static let renamed = [
        ("__builtin__.", "builtins."), ("copy_reg.", "copyreg."), ("numpy._core.", "numpy.core."),
        ("pathlib._local.", "pathlib."), ("builtins.xrange", "builtins.range"),
    ]

    /// Classes that are dictionaries, made from nothing, a dictionary or pairs.
    static let dictionaries: Set = [
        "builtins.dict", "collections.OrderedDict", "collections.Counter", "easydict.EasyDict", "addict.Dict",
        "addict.addict.Dict", "yacs.config.CfgNode", "fvcore.common.config.CfgNode", "detectron2.config.config.CfgNode",
        "mmcv.utils.config.ConfigDict", "mmengine.config.config.ConfigDict", "munch.Munch", "box.Box", "box.box.Box",
        "attrdict.AttrDict", "attrdict.dictionary.AttrDict", "pytorch_lightning.utilities.parsing.AttributeDict",
        "lightning.pytorch.utilities.parsing.AttributeDict", "lightning.fabric.utilities.data.AttributeDict",
        "lightning_fabric.utilities.data.AttributeDict",
    ]

    /// Classes that are lists or sets, made from nothing or from another one.
    static let lists: Set = [
        "builtins.list", "builtins.tuple", "builtins.set", "builtins.frozenset", "collections.deque",
    ]

    /// Objects that only hold named values, such as the options of a training script.
    static let namespaces: Set = ["argparse.Namespace", "types.SimpleNamespace"]

    /// Other classes and functions that make data out of their arguments.
    private static let inert: Set = [
        "argparse.Namespace", "types.SimpleNamespace", "builtins.object", "builtins.int", "builtins.float",
        "builtins.bool", "builtins.str", "builtins.complex", "builtins.range", "builtins.slice", "functools.partial",
        "decimal.Decimal", "fractions.Fraction", "uuid.UUID", "uuid.SafeUUID", "datetime.date", "datetime.datetime",
        "datetime.time", "datetime.timedelta", "datetime.timezone", "pathlib.Path", "pathlib.PosixPath",
        "pathlib.WindowsPath", "pathlib.PurePath", "pathlib.PurePosixPath", "pathlib.PureWindowsPath", "numpy.dtype",
        "numpy.ndarray", "numpy.random.__RandomState_ctor", "numpy.random._pickle.__randomstate_ctor",
        "numpy.random._pickle.__generator_ctor", "numpy.random._pickle.__bit_generator_ctor", "re._compile",
        "numpy.random.bit_generator.__pyx_unpickle_SeedSequence", "numpy.ma.core._mareconstruct",
        "torch._C.Generator", "torch.Generator",
        "torch.device", "torch.serialization._get_layout", "mmcv.utils.config.Config", "mmengine.config.config.Config",
    ]

    /// Functions that make a NumPy array.
    static let arrays: Set = ["numpy.core.multiarray._reconstruct", "numpy.core.numeric._frombuffer"]

    /// Functions that make a tensor of a kind that is not read.
    static let unreadTensors = [
        "torch._utils._rebuild_qtensor": "a quantized tensor",
        "torch._utils._rebuild_sparse_tensor": "a sparse tensor",
        "torch._utils._rebuild_sparse_csr_tensor": "a sparse tensor",
        "torch._utils._rebuild_nested_tensor": "a nested tensor",
        "torch._utils._rebuild_meta_tensor_no_storage": "a tensor without numbers (on the device 'meta')",
        "torch._utils._rebuild_wrapper_subclass": "a tensor of a class of its own",
        "torch._utils._rebuild_device_tensor_from_numpy": "a tensor kept as a NumPy array",
        "torch._utils._rebuild_xla_tensor": "a tensor kept as a NumPy array",
    ]

    /// Functions whose first argument is a tensor that they give back with something set.
    static let tensorWrappers: Set = [
        "torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state",
        "torch._utils._rebuild_device_tensor_from_cpu_tensor", "torch.nn.parameter.Parameter",
        "torch.nn.parameter.Buffer", "torch.autograd.variable.Variable",
    ]

    /// Top-level modules of Python that act on the system or run code. Only their names in the tables above are data.
    private static let acting: Set<Substring> = [
        "asyncio", "atexit", "bdb", "builtins", "cProfile", "cffi", "code", "codecs", "codeop", "commands",
        "concurrent", "copyreg", "ctypes", "dbm", "distutils", "doctest", "ensurepip", "faulthandler", "fcntl",
        "ftplib", "functools", "gc", "http", "imaplib", "imp", "importlib", "inspect", "io", "linecache", "logging",
        "marshal", "mmap", "multiprocessing", "nt", "ntpath", "operator", "os", "pdb", "pickle", "pip", "pkgutil",
        "platform", "poplib", "popen2", "posix", "posixpath", "profile", "pty", "pydoc", "resource", "runpy",
        "select", "selectors", "setuptools", "shelve", "shutil", "signal", "site", "smtplib", "socket",
        "socketserver", "sqlite3", "ssl", "subprocess", "sys", "tarfile", "telnetlib", "tempfile", "test",
        "threading", "timeit", "trace", "tty", "types", "unittest", "urllib", "venv", "webbrowser", "xmlrpc",
        "zipfile", "zipimport", "_codecs", "_ctypes", "_frozen_importlib", "_io", "_multiprocessing", "_operator",
        "_pickle", "_posixsubprocess", "_socket", "_thread",
    ]

    /// Whether the result of a call with these arguments is only data, which is kept as an opaque object.
    static func isInert(_ name: String, _ arguments: [PickleValue]) -> Bool {
        inert.contains(name) || isEnumMember(name, arguments)
    }

    /// Whether objects of the class may be passed over: creating one runs none of its code.
    static func mayBeCreated(_ className: String) -> Bool {
        inert.contains(className) || dictionaries.contains(className) || lists.contains(className)
            || className == "builtins.bytes" || className == "builtins.bytearray" || !acts(className)
    }

    /// Whether the name stands in a module that acts on the system.
    static func acts(_ name: String) -> Bool { acting.contains(name.prefix { $0 != "." }) }

    /// A member of an enumeration is written as a call of its class with its value: a class by its name (`ColorMode`),
    /// from no module that acts, and one number or text.
    private static func isEnumMember(_ name: String, _ arguments: [PickleValue]) -> Bool {
        let (top, last) = (name.prefix { $0 != "." }, name.split(separator: ".").last ?? "")
        guard arguments.count == 1, last.first?.isUppercase == true, last.contains(where: \.isLowercase),
            !acting.contains(top), !["torch", "numpy", "pandas"].contains(top)
        else { return false }
        switch arguments[0] {
        case .integer, .number, .text, .bool: return true
        default: return false
        }
    }

    /// PyTorch's classes of storages: the type that is read, if it is, and the bytes of an element.
    static func storage(_ className: String) -> (type: ElementType?, elementSize: Int?)? {
        guard className.hasPrefix("torch."), className.hasSuffix("Storage") else { return nil }
        let name = String(className.split(separator: ".").last ?? "").dropLast("Storage".count)
        if let type = storages[name] { return (type, type.byteCount) }
        return (nil, unreadStorages[name])
    }

    private static let storages: [Substring: ElementType] = [
        "Float": .float32, "Double": .float64, "Half": .float16, "BFloat16": .bfloat16, "Long": .int64, "Int": .int32,
        "Short": .int16, "Char": .int8, "Byte": .uint8, "Bool": .bool, "Untyped": .uint8, "_Untyped": .uint8,
    ]

    private static let unreadStorages: [Substring: Int] = [
        "ComplexFloat": 8, "ComplexDouble": 16, "QInt8": 1, "QUInt8": 1, "QInt32": 4, "QUInt4x2": 1, "QUInt2x4": 1,
    ]
}
