// finetune: the program. Flags in, exit code out.

internal import ArgumentParser
internal import FinetuneFiles
internal import FinetuneRanks
internal import Glibc

@main
struct FinetuneCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "finetune",
        abstract: "Adapts a pretrained network to your images.",
        discussion: """
            EXAMPLES
              finetune ./imgs                     (a folder of images for each class)
              finetune --base resnet50.h5 --data ./imgs
              finetune evaluate --model runs/a/model.h5 --data ./more
              finetune check --data ./imgs
              finetune compare --data ./imgs
              finetune predict --model runs/a/model.h5 photo.jpg
              finetune extract --base resnet50.h5 --data ./imgs --out features.npz
              finetune inspect resnet50.h5
              finetune convert runs/a/model.h5 model.onnx

            A folder, table or archive of images without a flag is --data. A command's name wins: ./train is the folder. A \
            value that begins with - follows an =, as in --data=-imgs; a file that does is ./-x.jpg, or stands after --.

            EXIT CODES
              0 done, 3 a gate failed, 64 usage, 65 bad data or weights, 66 input missing,
              69 something is not installed, 70 training diverged, 73 output cannot be
              created, 74 input/output error, 75 stopped: --resume goes on, 130 interrupted
            """,
        version: "0.1.0",
        subcommands: [
            TrainCommand.self, EvaluateCommand.self, PredictCommand.self, ExtractCommand.self, InspectCommand.self,
            ConvertCommand.self, CheckCommand.self, CompareCommand.self, DoctorCommand.self,
        ],
        defaultSubcommand: TrainCommand.self)

    static func main() async {
        StandardStream.openClosed()
        Interruption.watch()
        ThreadShortage.watch()
        var ranks: Ranks?
        var arguments = FileSystem.arguments
        do {
            arguments = try ArgumentReader(arguments).arguments
            let command = try parseAsRoot(arguments)
            let joined = try Ranks.join()
            ranks = joined
            try await run(command, joined)
            joined.leave()
            // At once: what libraries do at the end may wait for threads that never come.
            _exit(0)
        } catch {
            fail(error, arguments, ranks)
        }
    }

    /// Runs a command: by all ranks where it can be shared, else by the first.
    private static func run(_ command: any ParsableCommand, _ ranks: Ranks) async throws {
        var command = command
        if let shared = command as? any SharedCommand {
            try await shared.run(ranks)
        } else if !ranks.isFirst {
            return
        } else if var asynchronous = command as? any AsyncParsableCommand {
            try await asynchronous.run()
        } else {
            try command.run()
        }
    }

    /// Says what is wrong and ends this process, and all other ranks with it.
    private static func fail(_ error: any Error, _ arguments: [String], _ ranks: Ranks?) -> Never {
        let rank = ranks?.rank ?? Launcher.ofThisProcess?.rank ?? 0
        // What is wrong everywhere the first says, and then ends all.
        if rank > 0 { sleep(1) }
        guard let status = ExitStatus(error) else {
            if rank > 0 { _exit(exitCode(for: error).rawValue) }
            endParsing(error, arguments)
        }
        let isQuiet = (error as? OutputError)?.isReaderGone == true
        if rank == 0 || ranks != nil, !isQuiet {
            let who = rank == 0 ? "" : "process \(rank): "
            let text = "finetune: \(who)\(error)".printable(keepsLines: true)
            StandardStream.error.write(text.wrapped(to: StandardStream.error.width) + "\n")
        }
        TemporaryFiles.removeAll()
        (ranks ?? .alone).abort(status.rawValue)
    }

    /// Ends with help, which was asked for, on standard output, or with what is wrong with the arguments on standard error.
    private static func endParsing(_ error: any Error, _ arguments: [String]) -> Never {
        let code = exitCode(for: error)
        guard code.isSuccess else {
            let text = "finetune: \(ParsingMessage.text(error, arguments))".printable(keepsLines: true)
            StandardStream.error.write(text.wrapped(to: StandardStream.error.width) + "\n")
            _exit(code.rawValue)
        }
        let text = fullMessage(for: error).printable(keepsLines: true)
        guard !text.isEmpty, let failure = StandardStream.output.write(text + "\n") else { _exit(code.rawValue) }
        if !failure.isReaderGone { StandardStream.error.write("finetune: \(failure)\n") }
        _exit(ExitStatus.inputOutput.rawValue)
    }
}

/// A command that the ranks of a run share.
protocol SharedCommand: AsyncParsableCommand {
    /// - Parameter ranks: All of them run the command; the first prints and writes.
    func run(_ ranks: Ranks) async throws
}

extension SharedCommand {
    func run() async throws { try await run(.alone) }
}
