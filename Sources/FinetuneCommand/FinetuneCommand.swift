// finetune: the program. Flags in, exit code out.

internal import ArgumentParser
internal import FinetuneFiles
internal import Glibc

@main
struct FinetuneCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "finetune",
        abstract: "Adapts a pretrained network to your images.",
        discussion: """
            EXAMPLES
              finetune --base resnet50.h5 --data ./imgs     (./imgs has a folder a class)
              finetune evaluate --model runs/a/model.h5 --data ./more
              finetune check --data ./imgs
              finetune compare --data ./imgs
              finetune predict --model runs/a/model.h5 photo.jpg
              finetune extract --base resnet50.h5 --data ./imgs --out features.npz
              finetune inspect resnet50.h5
              finetune convert runs/a/model.h5 model.onnx
            """,
        version: "0.1.0",
        subcommands: [
            TrainCommand.self, EvaluateCommand.self, PredictCommand.self, ExtractCommand.self, InspectCommand.self,
            ConvertCommand.self, CheckCommand.self, CompareCommand.self,
        ],
        defaultSubcommand: TrainCommand.self)

    static func main() async {
        signal(SIGPIPE, SIG_IGN)  // A reader that goes away is an error of writing, not a death.
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch let error as any (Error & CustomStringConvertible) where ExitStatus(error) != nil {
            StandardStream.error.write("finetune: \(error.description)\n")
            Glibc.exit(ExitStatus(error)?.rawValue ?? 1)
        } catch {
            Self.exit(withError: error)
        }
    }
}
