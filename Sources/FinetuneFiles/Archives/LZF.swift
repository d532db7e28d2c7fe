// LZF, the fast compression of Marc Lehmann's liblzf, which h5py offers and libhdf5 has not: the decoder.
//
// A stream of runs. A byte below 32 announces one more literals than it says. Any other holds the length of a copy in
// its upper three bits (7: a byte with the rest follows) and the upper five bits of how far back it lies.

package enum LZF {
    /// Decodes `input` into the whole of `output`.
    ///
    /// - Returns: Whether the stream was sound and gave exactly `output.count` bytes.
    package static func decode(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) -> Bool {
        var (from, to) = (0, 0)
        while from < input.count {
            let control = Int(input[from])
            from += 1
            if control < 32 {
                let count = control + 1
                guard count <= input.count - from, count <= output.count - to else { return false }
                for index in 0..<count { output[to + index] = input[from + index] }
                from += count
                to += count
                continue
            }
            var count = control >> 5
            if count == 7 {
                guard from < input.count else { return false }
                count += Int(input[from])
                from += 1
            }
            guard from < input.count else { return false }
            let distance = (control & 31) << 8 + Int(input[from]) + 1
            from += 1
            count += 2
            guard distance <= to, count <= output.count - to else { return false }
            // Byte by byte: a copy may read what it has just written.
            for index in to..<to + count { output[index] = output[index - distance] }
            to += count
        }
        return to == output.count
    }
}
