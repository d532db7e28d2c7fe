// What people and programs see: a bar and sentences on standard error, results or JSON lines on standard output.

internal import FinetuneDatasets
internal import FinetuneFiles
internal import FinetuneTraining
internal import Glibc
internal import Synchronization

/// Prints events. One console serves a command.
final class Console: Sendable {
    private struct Bar {
        var stage = ""
        var started = ContinuousClock.now
        var shown = ContinuousClock.now
        var isVisible = false
    }

    /// Whether nothing is said at all: another rank speaks.
    private let isMute: Bool
    private let isQuiet: Bool
    private let isJSON: Bool
    private let isTerminal: Bool
    private let hasColor: Bool
    private let level: LogLevel
    private let bar = Mutex(Bar())
    private let finishes: Bool
    private let problem = Mutex<OutputError?>(nil)

    /// - Parameter finishes: Whether the command completes its work if standard output fails, because it writes files, and
    ///   calls `finish()` at its end; otherwise the program ends at once.
    init(_ options: OutputOptions, isMute: Bool = false, finishes: Bool = false) {
        self.isMute = isMute
        self.finishes = finishes
        if !finishes, !isMute { StandardStream.output.watchReader { ProgramEnd.now(.inputOutput) } }
        isQuiet = options.quiet
        isJSON = options.json
        level = options.logLevel
        isTerminal = isatty(STDERR_FILENO) == 1
        hasColor = isTerminal && (getenv("NO_COLOR").map { $0.pointee == 0 } ?? true)
    }

    /// Shows an event.
    func report(_ event: Event) {
        ThreadShortage.noteNews()
        if isJSON, let line = event.json { writeOut(line.text, isExact: true) }
        switch event {
        case .note(let text, _): if !isJSON { say(text, from: .info) }
        case .warning(let text): say(text.printable(), labelled: "warning: ", from: .warning)
        case .skipped(let name, let reason):
            say("'\(name.printable())': \(reason.printable())", labelled: "skipped: ", from: .warning)
        case .progress(let stage, let done, let total) where total > 0:
            showBar(stage, Double(done) / Double(total)) {
                "\(done)/\(total)  \((Double(done) / $0).rounded(toPlaces: 1))/s"
            }
        case .share(let stage, let share): showBar(stage, share) { _ in "\(Int(share * 100)) %" }
        case .epoch(let record, let total): if !isJSON { say(Self.line(record, of: total)) }
        case .progress, .prediction, .done: break
        }
    }

    /// Reports what is odd about where a data set's images lie, for commands that do not examine images.
    func report(remarksOf dataset: ImageDataset) { dataset.remarks.report { report($0) } }

    private static func line(_ record: EpochRecord, of total: Int) -> String {
        var text = "epoch \(record.epoch)/\(total)  loss \(record.trainLoss.rounded(toPlaces: 4))"
        text += "  train \(record.trainAccuracy.percent)"
        if let accuracy = record.accuracy, let logLoss = record.calibratedLogLoss {
            text += "  val \(accuracy.percent)  log-loss \(logLoss.rounded(toPlaces: 3))"
        }
        return text + "  \(record.seconds.rounded(toPlaces: 1)) s"
    }

    /// Writes a line of the result to standard output.
    ///
    /// - Parameters:
    ///   - isSentence: Whether it is broken into lines that fit the terminal.
    ///   - isExact: Whether control characters are written as they are, for programs.
    func writeOut(_ line: String, isSentence: Bool = false, isExact: Bool = false) {
        guard !isMute, problem.withLock({ $0 == nil }) else { return }
        clearBar()
        var text = isExact ? line : line.printable(keepsLines: true)
        if isSentence { text = text.wrapped(to: StandardStream.output.width) }
        guard let failure = StandardStream.output.write(text + "\n") else { return }
        problem.withLock { $0 = failure }
        guard !finishes else { return }
        if !failure.isReaderGone { StandardStream.error.write("finetune: \(failure)\n") }
        ProgramEnd.now(.inputOutput)
    }

    /// - Throws: `OutputError` if a line of the result was not written.
    func finish() throws {
        if let failure = problem.withLock({ $0 }) { throw failure }
    }

    /// Writes a sentence for people to standard error, in lines that fit the terminal.
    ///
    /// - Parameter label: What stands before it, in yellow where colours are wanted.
    func say(_ text: String, labelled label: String = "", from least: LogLevel = .info) {
        guard !isMute, !isQuiet || least == .error, level <= least else { return }
        clearBar()
        let rest = (label + text.printable(keepsLines: true)).wrapped(to: StandardStream.error.width).dropFirst(
            label.count)
        StandardStream.error.write((hasColor && !label.isEmpty ? "\u{1B}[33m\(label)\u{1B}[0m" : label) + rest + "\n")
    }

    // MARK: The bar

    /// Appears when a stage has taken two seconds, and then four times a second; off a terminal a line every ten.
    ///
    /// - Parameter amount: Words for what is done, given the seconds that it took.
    private func showBar(_ stage: String, _ share: Double, amount: (Double) -> String) {
        guard !isMute, !isQuiet, level <= .info else { return }
        let isDone = share >= 1
        let line: String? = bar.withLock { bar in
            let now = ContinuousClock.now
            if bar.stage != stage { bar = Bar(stage: stage, started: now, shown: now, isVisible: bar.isVisible) }
            let elapsed = seconds(now - bar.started)
            let interval = isTerminal ? 0.25 : 10
            guard elapsed > 2, seconds(now - bar.shown) > interval || (isDone && bar.isVisible) else { return nil }
            bar.shown = now
            bar.isVisible = isTerminal
            let filled = Int(share * 24)
            let blocks = String(repeating: "█", count: filled) + String(repeating: "░", count: 24 - filled)
            let time =
                isDone ? "took \(Self.clock(elapsed))" : "left \(Self.clock(elapsed * (1 - share) / max(share, 1e-3)))"
            return "\(stage)  \(blocks)  \(amount(elapsed))  \(time)"
        }
        guard let line else { return }
        StandardStream.error.write(isTerminal ? "\r\u{1B}[K\(line)" : "\(line)\n")
    }

    private func clearBar() {
        let wasVisible = bar.withLock { bar in
            defer { bar.isVisible = false }
            return bar.isVisible
        }
        if wasVisible { StandardStream.error.write("\r\u{1B}[K") }
    }

    /// Seconds as `1 h 02 m`, `3 m 20 s` or `12 s`.
    static func clock(_ time: Double) -> String {
        let whole = Int(time.rounded())
        func two(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
        if whole >= 3600 { return "\(whole / 3600) h \(two(whole % 3600 / 60)) m" }
        if whole >= 60 { return "\(whole / 60) m \(two(whole % 60)) s" }
        return "\(whole) s"
    }
}

/// How much is said.
enum LogLevel: String, CaseIterable, Comparable {
    case debug, info, warning, error

    static func < (a: LogLevel, b: LogLevel) -> Bool {
        (allCases.firstIndex(of: a) ?? 0) < (allCases.firstIndex(of: b) ?? 0)
    }
}
