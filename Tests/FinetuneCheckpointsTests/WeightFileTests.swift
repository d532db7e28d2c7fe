// Weight files of every dialect: the network they hold, its numbers against PyTorch's and Keras', and broken files.

import FinetuneEngine
import FinetuneFiles
import FinetuneModels
import Glibc
import TestSupport
import Testing

@testable import FinetuneCheckpoints

private let thread = EngineThread(threads: 2)

private func load(_ path: String) throws -> Model { try WeightFile(path, helper: Fixtures.readingHelper).model() }

private func run(_ model: Model, _ layer: String, on input: Tensor) async throws -> [Float] {
    let node = try #require(model.network.node(forLayer: layer))
    let program = try await InferenceProgram(
        model.network, model.weights, output: node, batch: input.shape[0], height: input.shape[1],
        width: input.shape[2],
        precision: .fp32, thread: thread)
    return try await program.run(input).values
}

@Suite("A weight file") struct WeightFileTests {
    static let cases = ((try? Fixtures.json("manifest.json"))?["cases"]?.arrayValue ?? []).compactMap {
        $0["file"]?.stringValue
    }

    /// Their own tests read the two that hold tensors of no network.
    @Test("is a case if it is among the fixtures") func hasFixtures() throws {
        let files = try FileSystem.list(String(Fixtures.path("manifest.json").dropLast("/manifest.json".count)))
        let weights = files.filter { file in
            [".h5", ".keras", ".pth", ".safetensors"].contains(where: file.hasSuffix) && !file.hasPrefix("bad-")
        }
        #expect(Set(weights).subtracting(Self.cases) == ["tensors.pth", "legacy-tensors.pth"])
        #expect(Self.cases.allSatisfy { FileSystem.kind(of: Fixtures.path($0)) == .file })
    }

    @Test("gives the features and logits of the library that wrote it", arguments: cases)
    func numbers(_ file: String) async throws {
        let entry = try #require(
            try Fixtures.json("manifest.json")["cases"]?.arrayValue?.first { $0["file"]?.stringValue == file })
        let shape = entry["shape"]?.integers ?? []
        // The fixtures' script feeds this sine; it stands in no file.
        var values = (0..<shape.reduce(1, *)).map { 1.5 * sin(0.7 * Double($0)) }
        if entry["pixels"]?.boolValue == true, let affine = entry["affine"]?.arrayValue?.map(\.numbers) {
            // The model scales pixels itself, which is the recipe's part here.
            values = values.enumerated().map { (127.5 + 85 * $1) * affine[0][$0 % 3] + affine[1][$0 % 3] }
        }
        let input = Tensor(shape: shape, values: values.map { Float($0) })
        let model = try load(Fixtures.path(file))
        let features = entry["features"]?.numbers ?? []
        let largest = features.map(abs).max() ?? 1
        let found = try await run(model, "pooled", on: input)
        #expect(found.count == features.count)
        for (a, b) in zip(found, features) { #expect(abs(Double(a) - b) < 2e-5 * max(largest, 1)) }
        let logits = try await run(model, "logits", on: input)
        let expected = entry["logits"]?.numbers ?? []
        #expect(logits.count == expected.count)
        // Where a file ends in a softmax, the expected logits are known up to a constant a row.
        let classes = model.headOutputs ?? 1
        for row in 0..<shape[0] {
            let shift =
                entry["softmax"]?.boolValue == true ? expected[row * classes] - Double(logits[row * classes]) : 0
            for k in row * classes..<(row + 1) * classes {
                #expect(abs(Double(logits[k]) + shift - expected[k]) < 1e-4)
            }
        }
    }

    @Test("is recognised by its content, with its preprocessing", arguments: cases)
    func dialects(_ file: String) throws {
        let entry = try #require(
            try Fixtures.json("manifest.json")["cases"]?.arrayValue?.first { $0["file"]?.stringValue == file })
        let model = try load(Fixtures.path(file))
        let words = [
            "keras-weights": "Keras weights", "keras-store": "Keras weights", "keras-whole": "Keras whole model",
            "keras-archive": "Keras whole model", "torch-h5": "state dict in HDF5",
            "safetensors": "state dict in safetensors", "pth": "state dict in a zip archive",
            "legacy": "state dict in a file of the format before PyTorch 1.6",
        ]
        let dialect = try #require(entry["dialect"]?.stringValue)
        #expect(model.dialect.hasSuffix(words[dialect] ?? "?"), "\(model.dialect) is no \(dialect)")
        if let recipe = entry["recipe"]?.stringValue {
            #expect(model.recipe?.pixels == InputRecipe.Pixels.named.first { $0.name == recipe }?.pixels)
        }
        if let affine = entry["affine"]?.arrayValue?.map(\.numbers) {
            let recipe = try #require(model.recipe)
            for channel in 0..<3 {
                let factor = recipe.scale / recipe.standardDeviation[channel]
                #expect(abs(factor - affine[0][channel]) < 1e-9)
                let offset = -recipe.mean[channel] / recipe.standardDeviation[channel]
                #expect(abs(offset - affine[1][channel]) < 1e-6)
            }
        }
        if let labels = entry["labels"]?.arrayValue?.compactMap(\.stringValue) { #expect(model.classes == labels) }
    }

    @Test("names its architecture in the field's words")
    func architectures() throws {
        let expected = [
            "torch-basic.h5": "ResNet-10, width 4", "torch-bottleneck-nested.h5": "ResNet-17 v1.5, width 2",
            "keras-weights.h5": "ResNet-14 v1, width 2", "keras-whole.h5": "ResNet-14 v1, width 2",
            "keras-odd.h5": "functional network, 2 convolutions",
            "keras-v2.keras": " V2,", "keras-nested.keras": " v1,",
            "timm-se/model.safetensors": "SE-ResNet", "timm-resnext.safetensors": "ResNeXt-",
            "timm-wide.h5": "Wide ResNet-", "timm-d.pth": "-D", "keras-v2-weights.h5": " V2,",
            "kuangliu.pth": "(small images)", "vgg-norms.pth": "VGG-7 with batch norm, width 4",
            "keras-vgg.h5": "VGG-16, width 2",
        ]
        for (file, words) in expected {
            let name = try load(Fixtures.path(file)).network.name
            #expect(name.contains(words), "\(file): \(name)")
        }
    }

    @Test("takes its preprocessing from what stands beside it")
    func sidecars() throws {
        let timm = try #require(try load(Fixtures.path("timm-se/model.safetensors")).recipe)
        #expect(timm.mean == [0.5, 0.5, 0.5] && timm.interpolation == .bicubic && timm.height == 64)
        #expect(abs(timm.resizeRatio - 1 / 0.95) < 1e-12)
        let transformers = try load(Fixtures.path("transformers-basic/model.safetensors"))
        #expect(transformers.recipeSource == "preprocessor_config.json" && transformers.recipe?.fit == .crop)
    }

    @Test(
        "that is broken is refused with the tensor's name",
        arguments: [
            ("missing", "layer2.0.bn1.running_var"), ("extra", "layer2.0.se.weight"),
            ("misshapen", "layer3.0.conv1.weight"),
            ("text", "bn1.weight"), ("soft-link", "layer1.0.conv1.weight"), ("not-finite", "fc.weight"),
            ("truncated", "cut short"),
        ])
    func broken(_ name: String, _ word: String) {
        let error = #expect(throws: CheckpointError.self) { try load(Fixtures.path("bad-\(name).h5")) }
        #expect(error?.description.contains(word) == true, "\(error?.description ?? "")")
    }

    @Test(
        "that is hostile is refused, with the reason and the tensor's name",
        arguments: [
            ("external-link.h5", "link to another file"), ("external-storage.h5", "in another file"),
            ("virtual.h5", "virtual dataset"), ("bomb-chunked.h5", "which no file holds"),
            ("bomb-contiguous.h5", "which no file holds"), ("bomb-gzip.h5", "more than such a file can hold"),
            ("filter.h5", "filter 32015"), ("empty.h5", "dimension of size 0"), ("records.h5", "records"),
            ("reference.h5", "neither floats nor integers"), ("chunk.h5", "cannot be read"),
            ("absolute.h5", "points outside"), ("bomb.keras", "declares 104857608 bytes"),
        ])
    func hostile(_ name: String, _ words: String) {
        let error = #expect(throws: CheckpointError.self) { try load(Fixtures.path("bad-\(name)")) }
        let text = error?.description ?? ""
        #expect(text.contains(words), "\(text)")
        let names = ["layer2.0.conv1.weight", "/conv2_block1_1_conv/", "model.weights.h5"]
        #expect(names.contains { text.contains($0) }, "\(text)")
    }

    @Test(
        "that holds its own root, or three hundred groups in each other, is read all the same",
        arguments: ["cycle", "deep"])
    func oddities(_ name: String) throws {
        #expect(try load(Fixtures.path("bad-\(name).h5")).network.name == "ResNet-10, width 4")
    }

    @Test(
        "in safetensors that breaks a rule of the format is refused",
        arguments: [
            ("[]", 0, "no JSON object"),
            (#" {"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 4, "no JSON object"),
            (
                #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
                4, "second time"
            ),
            (#"{"a":{"dtype":"F37","shape":[1],"data_offsets":[0,4]}}"#, 4, "F37"),
            (#"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, 4, "whole numbers"),
            (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}"#, 4, "whole numbers"),
            (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, 4, "impossible"),
            (#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, 4, "does not fit"),
            (#"{"a":{"dtype":"F32","shape":[4294967296,4294967296,4],"data_offsets":[0,4]}}"#, 4, "does not fit"),
            (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, 8, "0 was expected"),
            (
                #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#,
                4, "4 was expected"
            ),
            (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 8, "8 are there"),
            (#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, 2, "2 are there"),
            (#"{"__metadata__":{"a":1}}"#, 0, "something other than text"),
            (String(repeating: #"{"a":"#, count: 1000), 0, "nesting"), (#"{"a""#, 0, "not JSON"),
        ])
    func safetensors(_ header: String, _ bytes: Int, _ words: String) {
        let file =
            UInt64(header.utf8.count).littleEndianBytes + Array(header.utf8) + [UInt8](repeating: 0, count: bytes)
        let error = #expect(throws: CheckpointError.self) { try Safetensors.read(.bytes(file), path: "x") }
        #expect(error?.description.contains(words) == true, "\(error?.description ?? "")")
    }

    @Test("in safetensors with an impossible length is refused", arguments: [0, 100_000_001, 1 << 40, UInt64.max])
    func lengths(_ count: UInt64) {
        #expect(throws: CheckpointError.self) {
            try Safetensors.read(.bytes(count.littleEndianBytes + Array("{}".utf8)), path: "x")
        }
    }

    @Test(
        "that would run code, or is no ResNet that we know, is refused with the reason",
        arguments: [
            ("code.pth", "calls 'posix.system'"), ("legacy-code.pth", "calls 'posix.system'"),
            ("eval.pth", "calls 'builtins.eval'"), ("load.pth", "calls 'torch.serialization.load'"),
            ("getattr.pth", "calls 'linecache.os.system'"), ("chain.pth", "calls 'project.Tool.run'"),
            ("inst.pth", "calls 'os.system'"), ("obj.pth", "calls 'os.system'"),
            ("popen.pth", "calls 'subprocess.Popen'"),
            (
                "module.pth",
                "it holds a whole Python object of the class 'torchvision.models.resnet.ResNet', not a state dict. Save model.state_dict() instead."
            ), ("module-entry.pth", "class 'torch.nn.modules.container.Sequential', not a state dict"),
            ("legacy-module.pth", "class 'torch.nn.modules.container.Sequential', not a state dict"),
            ("quantized.pth", "'layer2.0.conv1.weight' is a quantized tensor, which is not read"),
            ("legacy-quantized.pth", "'layer2.0.conv1.weight' is a quantized tensor, which is not read"),
            ("tar.pth", "PyTorch 0.1"), ("plain-pickle.pth", "not a file of torch.save"), ("script.pth", "TorchScript"),
            ("preact.pth", "pre-activation"), ("lambda.keras", "Python code"), ("layer.h5", "DepthwiseConv2D"),
            ("shared.keras", "more than once"), ("channels-first.h5", "channels"),
        ])
    func refused(_ name: String, _ word: String) {
        let error = #expect(throws: CheckpointError.self) { try load(Fixtures.path("bad-\(name)")) }
        #expect(error?.description.contains(word) == true, "\(error?.description ?? "")")
        #expect(FileSystem.kind(of: "/tmp/finetune-was-here") == nil)
    }

    @Test(
        "that is something else says what it is",
        arguments: [
            ("", "empty"), ("version https://git-lfs.github.com/spec/v1", "git lfs pull"),
            ("<!DOCTYPE html>", "web page"), ("hello", "text, not weights ('hello')"),
            ("\u{1}\u{2}\u{3}", "not a weights file"),
        ])
    func strangers(_ text: String, _ word: String) throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        try AtomicFile.write(text, to: folder + "/x.h5")
        let error = #expect(throws: CheckpointError.self) { try load(folder + "/x.h5") }
        #expect(error?.description.contains(word) == true)
    }

    @Test("that is damaged anywhere is refused or loaded, and never crashes this process")
    func damaged() throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        let good = try FileSystem.read(Fixtures.path("torch-basic.h5"))
        var state: UInt64 = 4
        for _ in 0..<60 {
            var bytes = good
            for _ in 0..<3 {
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                bytes[Int(state >> 33) % min(bytes.count, 8192)] = UInt8(truncatingIfNeeded: state >> 24)
            }
            var file = try AtomicFile(folder + "/x.h5")
            try file.write(bytes)
            try file.commit()
            do {
                _ = try load(folder + "/x.h5")
            } catch {
                #expect(error is CheckpointError)
            }
        }
    }

    @Test("on which the library turns in circles is given up after seconds")
    func endless() throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        var bytes = try FileSystem.read(Fixtures.path("keras-odd.h5"))
        // The size of the first object in the first global heap: the next one begins before it.
        let heap = try #require(bytes.indices.first { bytes[$0...].starts(with: Array("GCOL".utf8)) })
        bytes.replaceSubrange(heap + 24..<heap + 32, with: (UInt64.max - 15).littleEndianBytes)
        var file = try AtomicFile(folder + "/x.h5")
        try file.write(bytes)
        try file.commit()
        let clock = ContinuousClock()
        let start = clock.now
        let error = #expect(throws: CheckpointError.self) { try load(folder + "/x.h5") }
        #expect(error?.description.contains("more time") == true, "\(error?.description ?? "")")
        #expect(clock.now - start < .seconds(55))
    }

    @Test("cannot be read without its helper, and says so") func noHelper() {
        let error = #expect(throws: CheckpointError.self) {
            try WeightFile(Fixtures.path("torch-basic.h5"), helper: "/none/helper")
        }
        #expect(error?.kind == .helperMissing)
    }
}

@Suite("Our own model file") struct ModelFileTests {
    @Test("comes back as it was written, with the same bytes twice", arguments: WeightFileTests.cases)
    func roundTrip(_ file: String) throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        var model = try load(Fixtures.path(file))
        let size = model.inputSize ?? ImageSize(height: 64, width: 64)
        let width = try #require(
            model.network.outputShape(of: model.network.featureNode, height: size.height, width: size.width)?.first)
        let head = DenseHead(
            weight: Tensor(shape: [2, width], values: (0..<2 * width).map { Float($0) / 7 }),
            bias: Tensor(shape: [2], values: [0.5, -1]), record: .null)
        model = model.adapted(
            Head(head, named: model.headName, reading: model.network.featureNode), classes: ["one", "two \"quoted\""])
        model.precision = .fp32
        model.trainingImages = [0, 0x11aa, .max]
        try ModelFile.write(model, to: folder + "/a.h5")
        try ModelFile.write(model, to: folder + "/b.h5")
        #expect(try FileSystem.read(folder + "/a.h5") == FileSystem.read(folder + "/b.h5"))
        let read = try load(folder + "/a.h5")
        #expect(read.network == model.network && read.classes == model.classes && read.recipe == model.recipe)
        #expect(read.precision == .fp32 && read.trainingImages == model.trainingImages)
        #expect(Set(read.weights.keys) == Set(model.weights.keys))
        for (name, tensor) in model.weights { #expect(read.weights[name]?.values == tensor.values) }
        #expect(try FileSystem.list(folder) == ["a.h5", "b.h5"])
    }

    @Test("with a recipe that cannot be is refused like any damaged file")
    func badRecipe() throws {
        let folder = try Fixtures.temporaryFolder()
        defer { Fixtures.remove(folder) }
        var model = try load(Fixtures.path("torch-basic.h5"))
        model.recipe?.height = 0
        try ModelFile.write(model, to: folder + "/a.h5")
        let error = #expect(throws: CheckpointError.self) { try load(folder + "/a.h5") }
        #expect(error?.description.contains("'size'") == true)
    }
}

@Suite(
    "Real files beside this checkout",
    .enabled(if: Fixtures.shared("fixtures/manifest.json") != nil, "the shared files are not here"))
struct SharedFilesTests {
    @Test("load with the real libraries' numbers")
    func fixtures() async throws {
        let folder = try #require(Fixtures.shared("fixtures"))
        let entries = try #require(
            try JSON(parsing: FileSystem.read(folder + "/manifest.json"))["fixtures"]?.arrayValue)
        var count = 0
        for entry in entries where entry["expect"] == "load" {
            guard let file = entry["file"]?.stringValue, let id = entry["id"]?.stringValue else {
                continue
            }
            count += 1
            let model = try load("\(folder)/\(file)")
            let array = try NumpyArray(parsing: FileSystem.read("\(folder)/\(id)/input.npy"), name: id)
            let tensor = Tensor(shape: array.shape, values: array.floats)
            let input = entry["layout"] == "NCHW" ? tensor.transposed([0, 2, 3, 1]) : tensor
            for (layer, name) in [("pooled", "features"), ("logits", "logits")] where entry["expected"]?[name] != nil {
                let expected = try NumpyArray(parsing: FileSystem.read("\(folder)/\(id)/\(name).npy"), name: id).floats
                let found = try await run(model, layer, on: input)
                let tolerance = entry["tolerance"]?[name]
                let (absolute, relative) = (tolerance?["atol"]?.doubleValue ?? 0, tolerance?["rtol"]?.doubleValue ?? 0)
                #expect(found.count == expected.count)
                for (a, b) in zip(found, expected) {
                    #expect(Double(abs(a - b)) <= absolute + relative * Double(abs(b)), "\(id)")
                }
            }
        }
        #expect(count == 13)
    }

    @Test("that are malformed are refused or survived, as each asks")
    func malformed() throws {
        let folder = try #require(Fixtures.shared("fixtures"))
        let entries = try #require(
            try JSON(parsing: FileSystem.read(folder + "/manifest.json"))["fixtures"]?.arrayValue)
        for entry in entries where entry["family"] == "malformed" {
            let (file, expect) = (entry["file"]?.stringValue ?? "", entry["expect"]?.stringValue ?? "")
            do {
                _ = try load("\(folder)/\(file)")
                #expect(!expect.hasPrefix("reject"), "\(file) was loaded")
            } catch let error as CheckpointError {
                if let name = entry["error_names"]?.stringValue {
                    #expect(error.description.contains(name), "\(file): \(error)")
                }
            }
        }
    }

    @Test("pretrained networks give their golden logits")
    func golden() async throws {
        let folder = try #require(Fixtures.shared("pretrained"))
        let images = try NumpyArray(parsing: FileSystem.read(folder + "/golden_images_u8.npy"), name: "images")
        let scale = [(0.485, 0.229), (0.456, 0.224), (0.406, 0.225)].map { (Float($0.0), Float($0.1)) }
        let values = images.bytes.enumerated().map { (Float($1) / 255 - scale[$0 % 3].0) / scale[$0 % 3].1 }
        for depth in [20, 32, 44, 56] {
            let model = try load("\(folder)/resnet\(depth).h5")
            let expected = try NumpyArray(
                parsing: FileSystem.read("\(folder)/resnet\(depth)_golden_logits.npy"), name: "logits"
            ).floats
            for (a, b) in zip(try await run(model, "logits", on: Tensor(shape: images.shape, values: values)), expected)
            { #expect(abs(a - b) < 1e-3) }
        }
    }
}
