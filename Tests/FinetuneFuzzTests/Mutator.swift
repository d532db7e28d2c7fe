// Damage for HDF5 files, done where it hurts: at the start and around the structures that describe the data.

/// SplitMix64 (Steele, Lea and Flood 2014).
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

struct Mutator: Sendable {
    private let bytes: [UInt8]
    /// Where a structure begins: by its signature, or as an object header of version 1, which has none.
    private let structures: [Int]

    private static let signatures = ["TREE", "HEAP", "SNOD", "OHDR", "OCHK", "GCOL", "FRHP", "FHDB", "BTHD", "BTLF"]
        .map { Array($0.utf8) }
    private static let integers: [UInt64] = [
        0, 1, 2, 3, 7, 8, 0x10, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 0x1_0000, 0x7FFF_FFFF, 0x8000_0000,
        0xFFFF_FFFF, 0x1_0000_0000, 1 << 62, 0x7FFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000, 0xFFFF_FFFF_FFFF_FFFE, .max,
    ]

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        structures = bytes.indices.dropLast(16).filter { place in
            if Self.signatures.contains(where: bytes[place...].starts) { return true }
            return place % 8 == 0 && bytes[place] == 1 && bytes[place + 1] == 0 && bytes[place + 2] > 0
                && bytes[place + 3] == 0 && bytes[(place + 4)...].starts(with: [1, 0, 0, 0])
        }
    }

    /// A copy with one to eight changes.
    func mutated(using dice: inout SplitMix64) -> [UInt8] {
        var copy = bytes
        for _ in 0..<[1, 1, 2, 3, 4, 8][Int.random(in: 0..<6, using: &dice)] where copy.count > 64 {
            change(&copy, &dice)
        }
        return copy
    }

    private func change(_ copy: inout [UInt8], _ dice: inout SplitMix64) {
        let place = min(place(&dice), copy.count - 1)
        switch Int.random(in: 0..<16, using: &dice) {
        case 0..<3: copy[place] ^= 1 << UInt8.random(in: 0..<8, using: &dice)
        case 3..<6: copy[place] = UInt8.random(in: 0...255, using: &dice)
        case 6..<11: overwrite(&copy, at: place, width: 1 << Int.random(in: 0..<4, using: &dice), &dice)
        case 11: copy.removeLast(Int.random(in: 0..<copy.count - 1, using: &dice))
        case 12: copy.removeSubrange(place..<min(copy.count, place + Int.random(in: 1...64, using: &dice)))
        case 13:
            let count = Int.random(in: 1...64, using: &dice)
            copy.insert(contentsOf: (0..<count).map { _ in UInt8.random(in: 0...255, using: &dice) }, at: place)
        default:
            // A piece of one structure over another.
            let count = Int.random(in: 1...256, using: &dice)
            let from = min(self.place(&dice), copy.count - 1)
            for (offset, byte) in copy[from...].prefix(count).enumerated() where place + offset < copy.count {
                copy[place + offset] = byte
            }
        }
    }

    /// Half of the time near a structure, otherwise in the first 8 KB or, seldom, anywhere.
    private func place(_ dice: inout SplitMix64) -> Int {
        let choice = Int.random(in: 0..<8, using: &dice)
        if choice < 4, let start = structures.randomElement(using: &dice) {
            return start + Int.random(in: 0..<128, using: &dice)
        }
        return Int.random(in: 0..<(choice < 7 ? min(8192, bytes.count) : bytes.count), using: &dice)
    }

    /// Puts a number there that is the least, the largest or near what stood there, aligned more often than not.
    private func overwrite(_ copy: inout [UInt8], at place: Int, width: Int, _ dice: inout SplitMix64) {
        let start = Bool.random(using: &dice) ? place / width * width : place
        guard start + width <= copy.count else { return }
        var number = Self.integers.randomElement(using: &dice) ?? 0
        if Int.random(in: 0..<4, using: &dice) == 0 {
            let old = copy[start..<start + width].reversed().reduce(0) { $0 << 8 | UInt64($1) }
            number = old &+ UInt64(bitPattern: Int64.random(in: -16...16, using: &dice))
        }
        for offset in 0..<width { copy[start + offset] = UInt8(truncatingIfNeeded: number >> (8 * offset)) }
    }
}
