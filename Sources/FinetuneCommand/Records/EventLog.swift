// What happens in a run, in its folder: every event as a line, and the epochs' curves for TensorBoard.

internal import FinetuneFiles
internal import FinetuneTraining
internal import Synchronization

/// The run's `events.jsonl` and `tensorboard/`, written while events go on to the console.
final class EventLog: Sendable {
    private let lines: LogFile
    private let folder: String
    private let continues: Bool
    private let console: Console
    private let curves = Mutex(Curves())

    /// Made when the first epoch is over: a head that is solved has none.
    private struct Curves {
        var log: TensorBoardLog?
        var failure: FileError?
    }

    private let draws: Bool

    /// - Parameter draws: Whether epochs are those of one training, whose curves are drawn.
    init(_ folder: RunFolder, _ console: Console, continuing: Bool, draws: Bool) throws {
        lines = try LogFile(folder.file(RunFolder.eventsName), continuing: continuing)
        self.folder = folder.file(RunFolder.curvesName)
        continues = continuing
        self.console = console
        self.draws = draws
    }

    func report(_ event: Event) {
        if let line = event.json { lines.append(line.text) }
        if draws, case .epoch(let record, _) = event { draw(record) }
        console.report(event)
    }

    private func draw(_ record: EpochRecord) {
        curves.withLock { curves in
            let isFirst = curves.log == nil
            do {
                let log = try curves.log ?? TensorBoardLog(folder, continuing: continues)
                curves.log = log
                log.append(record.scalars, step: record.epoch, isFirst: isFirst)
            } catch let error as FileError {
                curves.failure = error
            } catch {
                curves.failure = FileError(.inputOutput, "\(error)")
            }
        }
    }

    /// - Throws: `FileError` where a line or a point is missing.
    func finish() throws {
        let failure = curves.withLock { $0.failure ?? $0.log?.failure }
        if let failure = lines.failure ?? failure { throw failure }
    }
}

extension EpochRecord {
    /// The epoch's numbers by TensorBoard's tags.
    fileprivate var scalars: [(tag: String, value: Double)] {
        let all: [(String, Double?)] = [
            ("loss/train", trainLoss), ("loss/validation", logLoss), ("accuracy/train", trainAccuracy),
            ("accuracy/validation", accuracy), ("macro-f1/validation", macroF1), ("learning-rate", rate),
            ("seconds", seconds),
        ]
        return all.compactMap { tag, value in value.map { (tag, $0) } }
    }
}
