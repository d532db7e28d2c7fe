// Parts of some work that ranks take one by one: they are not equally fast, and parts not equally large.

internal import Synchronization

/// Parts 0, 1, … of some work, of which the first rank gives the next one to whoever asks.
package final class Deal: Sendable {
    private let parts: Int
    private let ranks: Ranks
    private let state = Mutex(State())

    private struct State {
        /// The first part that was not dealt, as far as this rank knows; more than all where it was told that none is left.
        var next = 0
        var isAsking = false
    }

    /// How long a rank sleeps before it looks for a message again. Those who compute ask for a part before they need it.
    private static let pause = Duration.milliseconds(4)

    private init(_ parts: Int, among ranks: Ranks) { (self.parts, self.ranks) = (parts, ranks) }

    /// Does some work of so many parts, in which each rank takes the next one with `next` until none is left. Collective;
    /// ranks do something else that is before they deal again.
    package static func run(_ parts: Int, among ranks: Ranks, _ work: (Deal) async throws -> Void) async throws {
        let deal = Deal(parts, among: ranks)
        async let service: Void = deal.serve()
        try await work(deal)
        // The first rank listens until each has asked in vain, and one that took the last part has not yet.
        let rest = try await deal.next()
        precondition(rest == nil, "a rank ended its work before all parts were dealt")
        try await service
    }

    /// How many were dealt, as far as this rank knows.
    package var dealt: Int { min(parts, state.withLock { $0.next }) }

    /// A part that nobody else has; nil where none is left. Any number of tasks may ask.
    package func next() async throws -> Int? {
        #if MPI
            if !ranks.isFirst, let channels = ranks.channels { return try await ask(channels) }
        #endif
        return take()
    }

    private func take() -> Int? {
        state.withLock { state in
            guard state.next < parts else { return nil }
            state.next += 1
            return state.next - 1
        }
    }

    /// Answers the other ranks, as the first must beside its own work, until each knows that nothing is left.
    private func serve() async throws {
        #if MPI
            guard ranks.isFirst, let channels = ranks.channels else { return }
            var waiting = ranks.count - 1
            while waiting > 0 {
                let answer = channels.answer { take() ?? parts }
                if answer == parts { waiting -= 1 }
                if answer == nil { try await Task.sleep(for: Self.pause) }
            }
        #endif
    }

    #if MPI
        /// Asks the first rank, for one task at a time: it listens no longer once it has told each rank that nothing is
        /// left.
        private func ask(_ channels: Channels) async throws -> Int? {
            var question: Channels.Question?
            while true {
                let part: Int? = state.withLock { state in
                    if state.next > parts { return parts }
                    if question == nil, !state.isAsking {
                        question = channels.ask()
                        state.isAsking = true
                    }
                    guard let asked = question, let part = channels.answer(to: asked) else { return nil }
                    state = State(next: part + 1)
                    return part
                }
                if let part { return part < parts ? part : nil }
                try await Task.sleep(for: Self.pause)
            }
        }
    #endif
}
