// Messages between ranks. MPI moves bytes; what is added is added here, in the order of ranks.
#if MPI

    internal import CFinetuneMPI
    internal import FinetuneFiles
    internal import Glibc

    /// What all ranks exchange, one thread at a time.
    final class Channels: @unchecked Sendable {
        // Unchecked: `Ranks` asks its users for one thread at a time.
        private let bytes = finetune_mpi_channel()
        /// Apart, because parts are dealt in the order in which sums begin, and results gathered when they are ready.
        private let parts = finetune_mpi_channel()
        private let results = finetune_mpi_channel()
        private let questions = finetune_mpi_channel()
        private var sums: [Sum] = []

        /// Waits for a request, first closely and then without taking a core from those who compute.
        private static func wait(_ request: inout MPI_Request?) {
            var looks = 0
            while finetune_mpi_is_over(&request) == 0 {
                looks += 1
                if looks < 1000 { sched_yield() } else { usleep(looks < 10_000 ? 50 : 1000) }
            }
        }

        // MARK: Bytes

        func gather(_ own: [UInt8], rank: Int, count: Int) -> [[UInt8]] {
            let sizes = exchange(
                own: Int64(own.count).littleEndianBytes, counts: [Int](repeating: 8, count: count), rank)
            return exchange(own: own, counts: sizes.map { $0.reversed().reduce(0) { $0 << 8 | Int($1) } }, rank)
        }

        private func exchange(own: [UInt8], counts: [Int], _ rank: Int) -> [[UInt8]] {
            let ends = counts.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
            precondition(ends[counts.count] <= Int32.max, "ranks exchange \(ends[counts.count]) bytes at once")
            let (sizes, places) = (counts.map { Int32($0) }, ends.dropLast().map { Int32($0) })
            var all = [UInt8](repeating: 0, count: ends[counts.count])
            all.withUnsafeMutableBytes { all in
                own.withUnsafeBytes { own in
                    sizes.withUnsafeBufferPointer { sizes in
                        places.withUnsafeBufferPointer { places in
                            var request: MPI_Request? = finetune_mpi_gather_bytes(
                                own.baseAddress, all.baseAddress, sizes.baseAddress, places.baseAddress, Int32(rank),
                                bytes)
                            Self.wait(&request)
                        }
                    }
                }
            }
            return counts.indices.map { Array(all[ends[$0]..<ends[$0 + 1]]) }
        }

        func spread(_ values: UnsafeMutableRawBufferPointer) {
            let most = 1 << 30
            for start in stride(from: 0, to: values.count, by: most) {
                let piece = UnsafeMutableRawBufferPointer(rebasing: values[start..<min(start + most, values.count)])
                var request: MPI_Request? = finetune_mpi_spread_bytes(piece.baseAddress, Int32(piece.count), bytes)
                Self.wait(&request)
            }
        }

        // MARK: Questions

        /// A number that the first rank was asked for.
        final class Question: @unchecked Sendable {
            // Unchecked: as `Channels`.
            fileprivate let number = UnsafeMutablePointer<Int64>.allocate(capacity: 1)
            fileprivate var request: MPI_Request?

            deinit { number.deallocate() }
        }

        func ask() -> Question {
            let question = Question()
            question.request = finetune_mpi_ask(question.number, questions)
            return question
        }

        /// The number, once it is there; nil before.
        func answer(to question: Question) -> Int? {
            finetune_mpi_is_over(&question.request) != 0 ? Int(question.number.pointee) : nil
        }

        /// Gives a number to a rank that asks.
        ///
        /// - Returns: The number; nil where none asks.
        func answer(with number: () -> Int) -> Int? {
            let rank = finetune_mpi_who_asks(questions)
            guard rank >= 0 else { return nil }
            let number = number()
            finetune_mpi_answer(rank, Int64(number), questions)
            return number
        }

        // MARK: Sums

        /// Floats on their way to their sums: each rank is dealt its part of everybody's, adds them up, and gives the sums
        /// to all. As much is sent as by a ring.
        private final class Sum {
            enum State { case dealing, gathering, done }

            let values: UnsafeMutablePointer<Float>
            /// Floats of each rank's part, and where it begins.
            let counts, places: UnsafeMutableBufferPointer<Int32>
            /// As many for every rank as this one's part has.
            let partCounts, partPlaces: UnsafeMutableBufferPointer<Int32>
            let parts: UnsafeMutableBufferPointer<Float>
            var state = State.dealing
            var request: MPI_Request?

            init(_ values: UnsafeMutablePointer<Float>, _ count: Int, rank: Int, ranks: Int) {
                func make(_ number: (Int) -> Int) -> UnsafeMutableBufferPointer<Int32> {
                    let buffer = UnsafeMutableBufferPointer<Int32>.allocate(capacity: ranks)
                    for index in 0..<ranks { buffer.initializeElement(at: index, to: Int32(number(index))) }
                    return buffer
                }
                func place(_ rank: Int) -> Int { rank * count / ranks }
                self.values = values
                counts = make { place($0 + 1) - place($0) }
                places = make(place)
                let own = place(rank + 1) - place(rank)
                partCounts = make { _ in own }
                partPlaces = make { $0 * own }
                parts = .allocate(capacity: max(1, own * ranks))
            }

            deinit {
                for buffer in [counts, places, partCounts, partPlaces] { buffer.deallocate() }
                parts.deallocate()
            }

            /// Writes the sums of the parts to where this rank's part of the values is.
            func add(_ rank: Int) {
                let own = Int(counts[rank])
                guard let parts = parts.baseAddress else { return }
                let target = values + Int(places[rank])
                target.update(from: parts, count: own)
                for other in 1..<counts.count {
                    let addend = parts + other * own
                    for index in 0..<own { target[index] += addend[index] }
                }
            }
        }

        func beginSum(_ values: UnsafeMutablePointer<Float>, _ count: Int, rank: Int, ranks: Int) {
            let sum = Sum(values, count, rank: rank, ranks: ranks)
            sum.request = finetune_mpi_deal_floats(
                values, sum.counts.baseAddress, sum.places.baseAddress, sum.parts.baseAddress,
                sum.partCounts.baseAddress,
                sum.partPlaces.baseAddress, parts)
            sums.append(sum)
        }

        /// Brings every sum as far as it can go; all the way where it `waits`.
        func advanceSums(rank: Int, waits: Bool) {
            func isOver(_ sum: Sum) -> Bool {
                if waits { Self.wait(&sum.request) }
                return finetune_mpi_is_over(&sum.request) != 0
            }
            // All ranks must begin to gather in the same order.
            for sum in sums where sum.state == .dealing {
                guard isOver(sum) else { break }
                sum.add(rank)
                sum.state = .gathering
                sum.request = finetune_mpi_gather_floats(
                    sum.values, sum.counts.baseAddress, sum.places.baseAddress, results)
            }
            for sum in sums where sum.state == .gathering && isOver(sum) { sum.state = .done }
            sums.removeAll { $0.state == .done }
        }
    }

#endif
