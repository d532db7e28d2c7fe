// Moving the pixels of a picture within its size, with the numbers of Pillow's `transform` and its nearest pixels.

internal import Glibc

extension Picture {
    /// The picture with left and right exchanged.
    package var mirrored: Picture {
        made { pixels, out in
            for row in 0..<height {
                var (source, target) = ((row * width + width - 1) * channels, row * width * channels)
                for _ in 0..<width {
                    for channel in 0..<channels { out[target &+ channel] = pixels[source &+ channel] }
                    source &-= channels
                    target &+= channels
                }
            }
        }
    }

    /// The picture turned about its middle, black where nothing was: torchvision's `rotate` of a PIL image.
    ///
    /// - Parameter degrees: Against the clock.
    package func rotated(by degrees: Double) -> Picture {
        let angle = -degrees.remainder(dividingBy: 360) * .pi / 180
        // As Pillow, so that a quarter turn is one.
        let cosine = (cos(angle) * 1e15).rounded() / 1e15
        let sine = (sin(angle) * 1e15).rounded() / 1e15
        let (x, y) = (Double(width) / 2, Double(height) / 2)
        return moved(
            Placement(
                x: (cosine, sine, x - cosine * x - sine * y), y: (-sine, cosine, y + sine * x - cosine * y)))
    }

    /// The picture with each row moved to the left by `slope` pixels more than the one above it.
    package func shearedX(by slope: Double) -> Picture {
        moved(Placement(x: (1, slope, 0), y: (0, 1, 0)))
    }

    /// The picture with each column moved up by `slope` pixels more than the one before it.
    package func shearedY(by slope: Double) -> Picture {
        moved(Placement(x: (1, 0, 0), y: (slope, 1, 0)))
    }

    /// The picture moved to the right and down, black where nothing was.
    package func translated(x: Int, y: Int) -> Picture {
        moved(Placement(x: (1, 0, -Double(x)), y: (0, 1, -Double(y))))
    }

    /// The picture with a rectangle of one color.
    ///
    /// - Parameters:
    ///   - rectangle: Within the picture.
    ///   - levels: One a channel.
    package func erased(_ rectangle: PictureOperation.Rectangle, levels: [UInt8]) -> Picture {
        precondition(levels.count == channels, "\(levels.count) levels for \(channels) channels")
        let (columns, rows) = (rectangle.columns.clamped(to: 0..<width), rectangle.rows.clamped(to: 0..<height))
        return made { pixels, out in
            out.update(from: pixels, count: bytes.count)
            for row in rows {
                for column in columns {
                    for channel in 0..<channels { out[(row * width + column) * channels + channel] = levels[channel] }
                }
            }
        }
    }

    /// Where in the picture a pixel comes from: for each axis what a column, a row and the origin add, in pixels.
    private struct Placement {
        var x: (column: Double, row: Double, origin: Double)
        var y: (column: Double, row: Double, origin: Double)

        /// 16 binary places, as Pillow computes up to sides of 16384; the middle of the first pixel is the start.
        static func fixed(_ axis: (column: Double, row: Double, origin: Double)) -> (column: Int, row: Int, start: Int)
        {
            func fixed(_ value: Double) -> Int { Int((value * 65536 + 0.5).rounded(.down)) }
            return (
                fixed(axis.column), fixed(axis.row), fixed(axis.origin + axis.column * 0.5 + axis.row * 0.5)
            )
        }
    }

    private func moved(_ placement: Placement) -> Picture {
        let (x, y) = (Placement.fixed(placement.x), Placement.fixed(placement.y))
        return made { pixels, out in
            var target = out
            for row in 0..<height {
                var (sourceX, sourceY) = (x.start &+ row &* x.row, y.start &+ row &* y.row)
                for _ in 0..<width {
                    let (column, line) = (sourceX >> 16, sourceY >> 16)
                    if column >= 0, column < width, line >= 0, line < height {
                        let source = pixels + (line &* width &+ column) &* channels
                        for channel in 0..<channels { target[channel] = source[channel] }
                    } else {
                        for channel in 0..<channels { target[channel] = 0 }
                    }
                    target += channels
                    sourceX &+= x.column
                    sourceY &+= y.column
                }
            }
        }
    }

    /// A picture of the same shape, written by `write` from this one's bytes.
    func made(_ write: (_ pixels: UnsafePointer<UInt8>, _ out: UnsafeMutablePointer<UInt8>) -> Void) -> Picture {
        let made = [UInt8](unsafeUninitializedCapacity: bytes.count) { out, written in
            bytes.withUnsafeBufferPointer { pixels in
                guard let pixels = pixels.baseAddress, let out = out.baseAddress else { return }
                write(pixels, out)
            }
            written = bytes.count
        }
        return Picture(width: width, height: height, channels: channels, bytes: made)
    }
}
