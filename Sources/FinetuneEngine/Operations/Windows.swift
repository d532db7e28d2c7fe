// What a convolution sees of images, as rows of a matrix.

internal import Glibc

/// The windows in which a convolution sees a batch of images, channels last and in bfloat16: one for each pixel of its
/// result.
struct Windows {
    let channels, height, width: Int
    private let window: Window
    private let edges: Edges
    private let batch: Int
    private let input, output: (height: Int, width: Int)

    /// - Parameters:
    ///   - input: `[batch, channels, height, width]`
    ///   - output: The same of the result.
    init(_ window: Window, _ edges: Edges, input: [Int], output: [Int]) {
        (batch, channels) = (input[0], input[1])
        (height, width) = (window.height, window.width)
        (self.window, self.edges) = (window, edges)
        self.input = (input[2], input[3])
        self.output = (output[2], output[3])
    }

    /// How many there are.
    var count: Int { batch * perImage }

    /// How many numbers are in each.
    var size: Int { height * width * channels }

    /// How many there are of one image.
    var perImage: Int { output.height * output.width }

    /// Whether each is of one pixel.
    var arePlain: Bool { height == 1 && width == 1 }

    /// Whether they are all pixels, one behind the other.
    var arePixels: Bool { arePlain && window.stride == 1 && input == output }

    /// Copies them one behind the other, `[count, height, width, channels]`, with zeros for the padding.
    func copy(_ images: UnsafeMutableRawPointer, to rows: UnsafeMutableRawPointer) {
        let pixel = channels * 2
        ParallelLoop.run(batch * output.height, grain: 1) { lines in
            var target = rows + lines.lowerBound * output.width * size * 2
            for line in lines {
                let image = images + line / output.height * input.height * input.width * pixel
                let top = line % output.height * window.stride - edges.top
                for column in 0..<output.width {
                    let left = column * window.stride - edges.left
                    for i in 0..<height {
                        let y = top + i * window.dilation
                        for j in 0..<width {
                            let x = left + j * window.dilation
                            if (0..<input.height).contains(y), (0..<input.width).contains(x) {
                                target.copyMemory(from: image + (y * input.width + x) * pixel, byteCount: pixel)
                            } else {
                                memset(target, 0, pixel)
                            }
                            target += pixel
                        }
                    }
                }
            }
        }
    }

    /// Adds up what windows `[count, height, width, channels]` have for each pixel of the images.
    func add(_ windows: UnsafePointer<Float>, to images: UnsafeMutableRawPointer) {
        let target = images.assumingMemoryBound(to: UInt16.self)
        ParallelLoop.run(batch * input.height, grain: 1) { lines in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: channels) { sums in
                guard let sums = sums.baseAddress else { return }
                for line in lines {
                    let image = line / input.height
                    for x in 0..<input.width {
                        sums.update(repeating: 0, count: channels)
                        for i in 0..<height {
                            guard let row = origin(line % input.height + edges.top, i, output.height) else { continue }
                            for j in 0..<width {
                                guard let column = origin(x + edges.left, j, output.width) else { continue }
                                let number = (image * output.height + row) * output.width + column
                                let addend = windows + ((number * height + i) * width + j) * channels
                                RowKernels.add(sums, addend, channels, into: sums)
                            }
                        }
                        BFloat16.encode(
                            UnsafeBufferPointer(start: sums, count: channels),
                            into: target + (line * input.width + x) * channels)
                    }
                }
            }
        }
    }

    /// Which window has a place of the padded image at its place `tap`; nil where none has.
    private func origin(_ place: Int, _ tap: Int, _ count: Int) -> Int? {
        let start = place - tap * window.dilation
        let index = start / window.stride
        return start >= 0 && start % window.stride == 0 && index < count ? index : nil
    }
}
