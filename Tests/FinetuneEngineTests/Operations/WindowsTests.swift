import Testing

@testable import FinetuneEngine

@Suite("The windows of a convolution") struct WindowsTests {
    static let windows = [
        Window.square(1), .square(1, stride: 2), .square(3, padding: 1), .square(3, stride: 2, padding: 1),
        Window(3, 3, stride: 2, padding: .same), Window(2, 3, dilation: 2, padding: .edges(.all(2))),
    ]

    private static let (batch, channels, height, width) = (2, 3, 6, 5)

    private static func make(_ window: Window) -> Windows {
        let output = window.output(height: height, width: width)
        return Windows(
            window, window.edges(height: height, width: width), input: [batch, channels, height, width],
            output: [batch, channels, output.height, output.width])
    }

    @Test("are copied one behind the other, with zeros for the padding", arguments: windows)
    func copies(_ window: Window) {
        let (batch, channels, height, width) = (Self.batch, Self.channels, Self.height, Self.width)
        let edges = window.edges(height: height, width: width)
        let output = window.output(height: height, width: width)
        let windows = Self.make(window)
        var images = (0..<batch * height * width * channels).map { UInt16($0 + 1) }
        var rows = [UInt16](repeating: .max, count: windows.count * windows.size)
        images.withUnsafeMutableBytes { images in
            rows.withUnsafeMutableBytes { rows in
                if let from = images.baseAddress, let to = rows.baseAddress { windows.copy(from, to: to) }
            }
        }
        #expect(windows.count == batch * output.height * output.width)
        for row in 0..<windows.count {
            let (line, column) = (row / output.width, row % output.width)
            for number in 0..<windows.size {
                let (tap, channel) = (number / channels, number % channels)
                let y = line % output.height * window.stride - edges.top + tap / window.width * window.dilation
                let x = column * window.stride - edges.left + tap % window.width * window.dilation
                let isInside = 0..<height ~= y && 0..<width ~= x
                let pixel = (line / output.height * height + y) * width + x
                #expect(
                    rows[row * windows.size + number] == (isInside ? images[pixel * channels + channel] : 0),
                    "window \(row), number \(number)")
            }
        }
    }

    @Test("give each pixel the sum of what they have for it: the adjoint of the copies", arguments: windows)
    func adds(_ window: Window) {
        let windows = Self.make(window)
        let count = Self.batch * Self.height * Self.width * Self.channels
        var images = (0..<count).map { BFloat16.bits(of: Float($0 % 7)) }
        var rows = [UInt16](repeating: 0, count: windows.count * windows.size)
        let weights = rows.indices.map { Float($0 % 5) }
        var sums = [UInt16](repeating: .max, count: images.count)
        images.withUnsafeMutableBytes { images in
            rows.withUnsafeMutableBytes { rows in
                if let from = images.baseAddress, let to = rows.baseAddress { windows.copy(from, to: to) }
            }
        }
        sums.withUnsafeMutableBytes { sums in
            weights.withUnsafeBufferPointer { weights in
                if let from = weights.baseAddress, let to = sums.baseAddress { windows.add(from, to: to) }
            }
        }
        // ⟨copy(x), r⟩ = ⟨x, add(r)⟩; all numbers are small integers, which no rounding changes.
        let left = zip(rows, weights).reduce(0) { $0 + BFloat16.value(of: $1.0) * $1.1 }
        let right = zip(images, sums).reduce(0) { $0 + BFloat16.value(of: $1.0) * BFloat16.value(of: $1.1) }
        #expect(left == right && left > 0)
    }
}
