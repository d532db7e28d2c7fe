// State dicts in the zip archives of torch.save.

import FinetuneFiles
import Testing

@Suite("A zip archive of PyTorch") struct TorchArchiveTests: DialectSuite {
    static let dialect = "pth"
    static let words = "state dict in a zip archive"

    @Test("gives the features and logits of the library that wrote it", arguments: cases)
    func numbers(_ example: WeightCase) async throws { try await example.expectNumbers() }

    @Test("is recognised by its content, with its preprocessing", arguments: cases)
    func recognition(_ example: WeightCase) throws { try example.expectRecognition(as: Self.words) }

    @Test(
        "that would run code, or is no state dict, is refused with the reason",
        arguments: [
            ("code", "calls 'posix.system'"),
            ("eval", "calls 'builtins.eval'"),
            ("load", "calls 'torch.serialization.load'"),
            ("getattr", "calls 'linecache.os.system'"),
            ("chain", "calls 'project.Tool.run'"),
            ("inst", "calls 'os.system'"),
            ("obj", "calls 'os.system'"),
            ("popen", "calls 'subprocess.Popen'"),
            (
                "module",
                "it holds a whole Python object of the class 'torchvision.models.resnet.ResNet', not a state dict. Save model.state_dict() instead."
            ),
            ("module-entry", "class 'torch.nn.modules.container.Sequential', not a state dict"),
            ("quantized", "'layer2.0.conv1.weight' is a quantized tensor, which is not read"),
            ("tar", "PyTorch 0.1"),
            ("plain-pickle", "not a file of torch.save"),
            ("script", "TorchScript"),
        ])
    func refused(_ name: String, _ words: String) {
        expectRefusal("bad-\(name).pth", words)
        #expect(FileSystem.kind(of: "/tmp/finetune-was-here") == nil)
    }
}
