// The order, the bounds and the failures of work on lanes.

import Synchronization
import Testing

@testable import FinetunePipeline

@Suite("Work on lanes") struct LaneStreamTests {
    /// Which pieces have begun, which have been taken, and how many were ahead at most.
    private final class Watch: Sendable {
        private let state = Mutex((begun: 0, taken: 0, ahead: 0))

        func begin() {
            state.withLock {
                $0.begun += 1
                $0.ahead = max($0.ahead, $0.begun - $0.taken)
            }
        }

        func take() { state.withLock { $0.taken += 1 } }

        var ahead: Int { state.withLock { $0.ahead } }
    }

    @Test("is taken in order, all of it, and never far ahead", arguments: [1, 2, 5])
    func order(_ lanes: Int) async throws {
        let watch = Watch()
        var taken: [Int] = []
        try await LaneStream.run(pieces: 200, lanes: lanes) { piece, lane in
            watch.begin()
            // The first of every twenty takes long, so that others overtake it.
            for _ in 0..<(piece % 20 == 0 ? 50 : 1) { await Task.yield() }
            #expect((0..<lanes).contains(lane))
            return piece * piece
        } consume: { piece, made in
            #expect(made == piece * piece)
            watch.take()
            taken.append(piece)
        }
        #expect(taken == Array(0..<200))
        #expect(watch.ahead <= 4 * lanes + 1)
    }

    private struct Stop: Error {}

    @Test("ends where a piece fails, or what takes it")
    func failures() async throws {
        await #expect(throws: Stop.self) {
            try await LaneStream.run(pieces: 100, lanes: 2) { piece, _ in
                if piece == 7 { throw Stop() }
            } consume: { piece, _ in
                #expect(piece < 7)
            }
        }
        await #expect(throws: Stop.self) {
            try await LaneStream.run(pieces: 100, lanes: 2) { _, _ in
            } consume: { piece, _ in
                if piece == 3 { throw Stop() }
            }
        }
    }

    @Test("is nothing where there are no pieces")
    func empty() async throws {
        try await LaneStream.run(pieces: 0, lanes: 2) { _, _ in
        } consume: { _, _ in
            Issue.record("a piece of nothing")
        }
    }
}
