// Standard output and standard error, written whole and at once.

internal import Glibc

enum StandardStream: Int32 {
    case output = 1
    case error = 2

    /// Columns of the terminal that it is; nil where it is none, or one that does not say.
    var width: Int? {
        var size = winsize()
        guard ioctl(rawValue, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }

    /// Writes the text; a reader that has gone away is nobody to tell about it.
    func write(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            var done = 0
            while done < bytes.count {
                let count = Glibc.write(rawValue, bytes.baseAddress?.advanced(by: done), bytes.count - done)
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return }
                done += count
            }
        }
    }
}
