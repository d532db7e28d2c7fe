// What a run tells: one type for the progress bar, the JSON lines and the run's log.

public import FinetuneFiles

/// Something that happened in a run.
public enum Event: Sendable {
    /// A sentence for people, with its data for programs.
    case note(String, JSON)
    /// Something that people should look at.
    case warning(String)
    /// An image that is left out, by name.
    case skipped(name: String, reason: String)
    /// How many images one stage of the work has done.
    case progress(stage: String, done: Int, total: Int)
    /// The share of a stage that is done, where nothing is counted.
    case share(stage: String, Double)
    /// An epoch that is over, of so many.
    case epoch(EpochRecord, of: Int)
    /// One prediction.
    case prediction(JSON)
    /// The end, with the result.
    case done(JSON)

    /// The warning about a kernel of oneDNN that is unknown to this version of the program.
    package static func unknownKernel(_ name: String) -> Event {
        .warning(
            "oneDNN uses the kernel '\(name)', which this version of finetune does not know. Results stay right; computing may be slower. Update finetune, or report the name."
        )
    }

    /// The event as one JSON line, nil for what only moves a bar.
    package var json: JSON? {
        switch self {
        case .note(let text, let data): event("note", [.init("text", .string(text))] + (data.members ?? []))
        case .warning(let text): event("warning", [.init("text", .string(text))])
        case .skipped(let name, let reason):
            event("skipped", [.init("path", .string(name)), .init("reason", .string(reason))])
        case .progress, .share: nil
        case .epoch(let record, let total):
            event("epoch", (record.json.members ?? []) + [.init("epochs", .integer(total))])
        case .prediction(let data): event("prediction", data.members ?? [])
        case .done(let data): event("done", [.init("schema", 1)] + (data.members ?? []))
        }
    }

    private func event(_ name: String, _ members: [JSON.Member]) -> JSON {
        .object([.init("event", .string(name))] + members)
    }
}

/// Takes events as they happen.
package typealias EventHandler = @Sendable (Event) -> Void
