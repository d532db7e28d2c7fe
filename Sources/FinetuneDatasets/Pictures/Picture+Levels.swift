// Operations that look each level up in a table of 256, with the numbers of Pillow's `ImageEnhance` and `ImageOps`.

extension Picture {
    /// The picture lighter or darker: black at 0, unchanged at 1. Pillow's `ImageEnhance.Brightness`.
    package func withBrightness(_ factor: Double) -> Picture {
        mapped { Self.mixed(0, $0, Float(factor)) }
    }

    /// The picture further from its mean shade of gray or closer to it: unchanged at 1. Pillow's
    /// `ImageEnhance.Contrast`.
    package func withContrast(_ factor: Double) -> Picture {
        let sum = gray.bytes.reduce(0) { $0 &+ Int($1) }
        let mean = UInt8(Double(sum) / Double(max(1, width * height)) + 0.5)
        return mapped { Self.mixed(mean, $0, Float(factor)) }
    }

    /// The picture with only the first `bits` of each level, 1 to 8. Pillow's `ImageOps.posterize`.
    package func posterized(bits: Int) -> Picture {
        mapped { $0 & UInt8(truncatingIfNeeded: -1 << (8 - bits)) }
    }

    /// The picture with the levels from `threshold` on inverted. Pillow's `ImageOps.solarize`.
    package func solarized(from threshold: Double) -> Picture {
        mapped { Double($0) < threshold ? $0 : 255 - $0 }
    }

    /// The picture with each channel stretched to reach black and white. Pillow's `ImageOps.autocontrast`.
    package var autocontrasted: Picture {
        mapped { counts in
            guard let low = counts.firstIndex(where: { $0 > 0 }), let high = counts.lastIndex(where: { $0 > 0 }),
                low < high
            else { return nil }
            let scale = 255 / Double(high - low)
            return (0..<256).map { UInt8(max(0, min(255, Double($0) * scale - Double(low) * scale))) }
        }
    }

    /// The picture with each channel's levels about equally frequent. Pillow's `ImageOps.equalize`.
    package var equalized: Picture {
        mapped { counts in
            let last = counts.last { $0 > 0 } ?? 0
            let step = (counts.reduce(0, +) - last) / 255
            guard step > 0 else { return nil }
            var sum = step / 2
            return counts.map { count in
                defer { sum += count }
                return UInt8(min(255, sum / step))
            }
        }
    }

    /// A level of the way from one level to another, or beyond: Pillow's `blend`, which cuts fractions off.
    @inline(__always)
    static func mixed(_ from: UInt8, _ to: UInt8, _ factor: Float) -> UInt8 {
        UInt8(Float.maximum(0, Float.minimum(255, Float(from) + factor * Float(Int32(to) &- Int32(from)))))
    }

    /// The picture with each level replaced.
    private func mapped(_ level: (UInt8) -> UInt8) -> Picture {
        let table = (0...255).map { level(UInt8($0)) }
        return made { pixels, out in
            table.withUnsafeBufferPointer { table in
                for index in bytes.indices { out[index] = table[Int(pixels[index])] }
            }
        }
    }

    /// The picture with each level replaced, channel by channel.
    ///
    /// - Parameter table: From how many pixels have each of 256 levels what each becomes; nil leaves the channel.
    private func mapped(_ table: (_ counts: [Int]) -> [UInt8]?) -> Picture {
        var counts = [[Int]](repeating: [Int](repeating: 0, count: 256), count: channels)
        for channel in 0..<channels {
            counts[channel].withUnsafeMutableBufferPointer { counts in
                for index in stride(from: channel, to: bytes.count, by: channels) { counts[Int(bytes[index])] &+= 1 }
            }
        }
        let tables = counts.flatMap { table($0) ?? Array(0...255) }
        return made { pixels, out in
            tables.withUnsafeBufferPointer { tables in
                for channel in 0..<channels {
                    for index in stride(from: channel, to: bytes.count, by: channels) {
                        out[index] = tables[channel &<< 8 &+ Int(pixels[index])]
                    }
                }
            }
        }
    }
}
