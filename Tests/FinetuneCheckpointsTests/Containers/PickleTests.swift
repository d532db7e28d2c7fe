// What pickles may hold beside tensors, and what they may not.

import FinetuneEngine
import FinetuneFiles
import TestSupport
import Testing

@testable import FinetuneCheckpoints

/// A pickle of protocol 4 with the codes in `text`, of which each character is a byte.
private func pickle(_ text: String) -> [UInt8] { [0x80, 4] + text.unicodeScalars.map { UInt8($0.value) } }

@Suite("A pickle") struct PickleTests {
    @Test("gives its plain data as a document", arguments: ["inert.pth", "inert-protocol5.pth"])
    func document(_ file: String) throws {
        let document = try #require(try arrays(file).documents[NamedArrays.checkpoint])
        let expected: [(String, JSON)] = [
            ("epoch", 5), ("arch", "resnet18d"), ("best", 0.875), ("steps", 1200), ("note", .null),
            ("counter", ["a": 2, "b": 1]), ("lists", ["cats": [1, 2]]), ("ordered", ["first": 1]), ("queue", [1, 2]),
            ("shape", [2, 3]), ("easy", ["depth": 18]), ("set", [1]), ("frozen", [2]), ("names", ["0": "ant"]),
            (
                "args",
                ["model": "resnet50", "gp": "avg", "betas": [0.9, 0.999], "nested": ["seed": 1], "amp": true]
            ),
        ]
        for (key, value) in expected { #expect(document[key] == value, "\(key): \(document[key]?.text ?? "none")") }
        let group = document["optimizer"]?["param_groups"]?.arrayValue?.first
        #expect(group?["lr"] == 0.01)
        #expect(document.members?.map(\.key).sorted() == (expected.map(\.0) + ["optimizer"]).sorted())
    }

    @Test("gives tensors of every kind, or says why one is not read", arguments: ["tensors.pth", "legacy-tensors.pth"])
    func tensors(_ file: String) throws {
        let arrays = try arrays(file)
        for name in ["parameter", "with_state", "subclass"] {
            #expect(arrays.arrays[name]?.tensor.values == [0, 1, 2, 3, 4, 5], "\(name)")
        }
        #expect(arrays.arrays["uint16"]?.tensor.values == [1, 2, 4, 5] && arrays.arrays["uint16"]?.type == "uint16")
        #expect(arrays.arrays["bool"]?.tensor.values == [0, 0, 0, 1, 1, 1])
        let problems = [
            "complex": "has numbers in a torch.ComplexFloatStorage, which is not read",
            "sparse": "is a sparse tensor, which is not read", "rows": "is a sparse tensor, which is not read",
            "meta": "is a tensor without numbers (on the device 'meta'), which is not read",
            "quantized": "is a quantized tensor, which is not read",
            "float8": "has the type torch.float8_e5m2, which is not read",
            "array.weight": "is a NumPy array, which is not read", "empty": "has a dimension of size 0",
        ]
        #expect(arrays.problems == problems && arrays.arrays.count == 5)
    }

    @Test("of a state dict alone has no document") func noDocument() throws {
        #expect(try arrays("torch-state.pth").documents.isEmpty)
        #expect(try arrays("legacy-plain.pth").documents.isEmpty)
    }

    @Test("of Python 2 has texts, and a namespace is read in old files, too") func old() throws {
        let document = try arrays("legacy-python2.pth").documents[NamedArrays.checkpoint]
        #expect(document == ["arch": "resnet10", "images": .integer(1 << 40), "note": "größer"])
        let checkpoint = try arrays("legacy-checkpoint.pth").documents[NamedArrays.checkpoint]
        #expect(checkpoint?["epoch"] == 7 && checkpoint?["args"] == ["arch": "resnet17", "lr": 0.1, "dist": .null])
    }

    @Test(
        "that calls anything but what makes data is refused with its name",
        arguments: [
            ("cos\nsystem\n\u{8C}\u{2}id\u{85}R.", "'os.system'"), ("cnt\nsystem\n)R.", "'nt.system'"),
            ("csubprocess\nPopen\n)\u{81}.", "'subprocess.Popen'"), ("c__builtin__\neval\n)R.", "'builtins.eval'"),
            ("cbuiltins\nexec\n)R.", "'builtins.exec'"), ("cbuiltins\n__import__\n)R.", "'builtins.__import__'"),
            ("coperator\nattrgetter\n\u{8C}\u{1}a\u{85}R.", "'operator.attrgetter'"),
            ("crunpy\nrun_path\n)R.", "'runpy.run_path'"),
            ("cpickle\nloads\n)R.", "'pickle.loads'"), ("cnumpy\nload\n)R.", "'numpy.load'"),
            ("ctypes\nCodeType\n)\u{81}.", "'types.CodeType'"),
            ("ctypes\nFunctionType\n)}\u{92}.", "'types.FunctionType'"),
            ("(cos\nsystem\n\u{8C}\u{2}ido.", "'os.system'"), ("(\u{8C}\u{2}idios\nsystem\n.", "'os.system'"),
            ("ccopyreg\n_reconstructor\ncsocket\nsocket\nc__builtin__\nobject\nN\u{87}R.", "'socket.socket'"),
            ("ccopy_reg\n__newobj__\nctypes\nCodeType\n\u{85}R.", "'types.CodeType'"),
            // What getattr finds cannot be called, and only members of classes are found.
            ("cbuiltins\ngetattr\ncm\nA\n\u{8C}\u{1}f\u{86}R)R.", "'m.A.f'"),
            ("cbuiltins\ngetattr\ncos\npath\n\u{8C}\u{6}system\u{86}R.", "'os.path.system'"),
            (
                "cbuiltins\ngetattr\ncbuiltins\ngetattr\ncm\nA\n\u{8C}\u{1}f\u{86}R\u{8C}\u{1}g\u{86}R.",
                "'builtins.getattr'"
            ),
            ("cfunctools\npartial\ncos\nsystem\n\u{85}R)R.", "an object of the class 'functools.partial'"),
            // A wrapper of tensors calls a function of its arguments.
            ("ctorch._tensor\n_rebuild_from_type_v2\n(cos\nsystem\nN\u{8C}\u{2}id\u{85}NtR.", "'os.system'"),
            // What looks like a member of an enumeration, in a module that acts.
            ("cctypes\nCDLL\n\u{8C}\u{4}x.so\u{85}R.", "'ctypes.CDLL'"),
            ("ctorch.package\nPackageImporter\n\u{8C}\u{1}x\u{85}R.", "'torch.package.PackageImporter'"),
        ])
    func calls(_ codes: String, _ name: String) {
        let error = #expect(throws: PickleError.self) { try PickleReader.read(pickle(codes)) }
        #expect(error?.description.contains("its pickle calls \(name)") == true, "\(error?.description ?? "")")
    }

    @Test(
        "reads the codes of protocols 4 and 5",
        arguments: [
            ("\u{8F}\u{94}(K\u{1}K\u{2}\u{90}", "[1,2]"), ("(K\u{1}\u{91}", "[1]"),
            ("\u{8B}\u{4}\0\0\0\u{1}\0\0\0", "1"), ("\u{8E}\u{1}\0\0\0\0\0\0\0a", "null"),
            ("\u{96}\u{1}\0\0\0\0\0\0\0a", "null"), ("I-5\n", "-5"), ("U\u{1}a", "\"a\""), ("T\u{1}\0\0\0a", "\"a\""),
            ("U\u{1}\u{FF}", "null"), ("K\u{1}\u{94}h\0\u{86}", "[1,1]"),
            ("\u{8C}\u{1}m\u{8C}\u{1}C\u{93})}\u{92}", "null"),
        ])
    func codes(_ codes: String, _ json: String) throws {
        let content = try PickleReader.read(pickle("}\u{8C}\u{1}a(\(codes)K\0ls."))
        #expect(content.document()?["a"]?.arrayValue?.first?.text == json)
    }

    @Test("has a document of bounded size") func bounds() throws {
        func text(_ codes: String) throws -> String? { try PickleReader.read(pickle(codes)).document()?.text }
        // Five dictionaries in each other: the fifth is left out.
        let nested = (1...4).map { _ in "}\u{8C}\u{1}aK\u{1}s\u{8C}\u{1}b" }.joined() + "}\u{8C}\u{1}aK\u{1}sssss."
        #expect(try text(nested) == #"{"a":1,"b":{"a":1,"b":{"a":1,"b":{"a":1}}}}"#)
        let list = String(repeating: "K\u{1}", count: 201)
        #expect(try text("}(\u{8C}\u{1}a](\(list)e\u{8C}\u{1}bNu.") == #"{"b":null}"#)
        let many = (0..<3000).map {
            "M\(Character(Unicode.Scalar(UInt8($0 % 256))))\(Character(Unicode.Scalar(UInt8($0 / 256))))N"
        }
        #expect(try PickleReader.read(pickle("}(\(many.joined())u.")).document()?.members?.count == 2000)
        // The last value of a key counts.
        #expect(try text("}(\u{8C}\u{1}1NK\u{1}K\u{2}u.") == #"{"1":2}"#)
        // A dictionary that holds itself.
        #expect(try text("}\u{94}\u{8C}\u{1}ah\0s\u{8C}\u{1}bK\u{1}s.")?.utf8.count ?? 1000 < 100)
    }

    @Test("of tuples in a million tuples does not end the program") func deep() throws {
        _ = try PickleReader.read(pickle(")" + String(repeating: "\u{85}", count: 1_000_000) + "."))
    }

    @Test("cannot fill the memory by copies") func copies() {
        let item = "c__builtin__\nlist\nh\0\u{85}R0"
        let list = "]\u{94}(" + String(repeating: "N", count: 100_000) + "e"
        #expect(throws: PickleError.self) {
            try PickleReader.read(pickle(list + String(repeating: item, count: 100) + "."))
        }
    }
}
