import Testing

@testable import FinetuneEngine

@Suite("The windows of a convolution") struct WindowsTests {
    static let windows = [
        Window.square(1), .square(1, stride: 2), .square(3, padding: 1), .square(3, stride: 2, padding: 1),
        Window(3, 3, stride: 2, padding: .same), Window(2, 3, dilation: 2, padding: .edges(.all(2))),
    ]

    @Test("are copied one behind the other, with zeros for the padding", arguments: windows)
    func copies(_ window: Window) {
        let (batch, channels, height, width) = (2, 3, 6, 5)
        let edges = window.edges(height: height, width: width)
        let output = window.output(height: height, width: width)
        let windows = Windows(
            window, edges, input: [batch, channels, height, width],
            output: [batch, channels, output.height, output.width])
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
}
