// Rows of length 1: forward and backward.

extension CompiledProgram {
    func compileRowNormalization(_ step: Step) throws -> CompiledValue {
        let count = try rows(step.input, step)
        let target = builder.newBuffer(batch * count * 4)
        builder.addLoop([values[step.input].operand, target]) { [batch] addresses in
            RowKernels.normalize(addresses[0].floats, rows: batch, columns: count, into: addresses[1].floats)
        }
        return CompiledValue(form: .rows(count), operand: target)
    }
}

extension CompiledTraining {
    func compileRowNormalization(_ step: Step) throws -> CompiledValue {
        let (x, columns) = (values[step.input].operand, try rows(step.input, step))
        let y = builder.newBuffer(batch * columns * 4)
        builder.addLoop([x, y]) { [batch] addresses in
            RowKernels.normalize(addresses[0].floats, rows: batch, columns: columns, into: addresses[1].floats)
        }
        tape.append { [self] in
            guard values[step.input].needsGradient, let dy = gradient(step.output) else { return }
            let dx = builder.newBuffer(batch * columns * 4)
            builder.addLoop([x, y, dy.operand, dx]) { [batch] addresses in
                RowKernels.normalizeBackward(
                    addresses[0].floats, addresses[1].floats, addresses[2].floats, rows: batch, columns: columns,
                    into: addresses[3].floats)
            }
            try contribute(dx, nil, to: step.input, step)
        }
        return CompiledValue(form: .rows(columns), operand: y, needsGradient: values[step.input].needsGradient)
    }
}

extension RowKernels {
    /// Each row divided by its Euclidean length, or by 10⁻¹² where that is shorter.
    static func normalize(
        _ x: UnsafePointer<Float>, rows: Int, columns: Int, into y: UnsafeMutablePointer<Float>
    ) {
        for row in 0..<rows {
            let (x, y) = (x + row * columns, y + row * columns)
            scale(x, by: 1 / length(x, columns), columns, into: y)
        }
    }

    /// `dx = (dy − y·(y·dy)) / ‖x‖`
    static func normalizeBackward(
        _ x: UnsafePointer<Float>, _ y: UnsafePointer<Float>, _ dy: UnsafePointer<Float>, rows: Int, columns: Int,
        into dx: UnsafeMutablePointer<Float>
    ) {
        for row in 0..<rows {
            let start = row * columns
            let (y, dy, dx) = (y + start, dy + start, dx + start)
            let (factor, along) = (1 / length(x + start, columns), Float(dot(y, dy, columns)))
            for column in 0..<columns { dx[column] = (dy[column] - y[column] * along) * factor }
        }
    }

    private static func length(_ x: UnsafePointer<Float>, _ count: Int) -> Float {
        Float(max((0..<count).reduce(0.0) { $0 + Double(x[$1]) * Double(x[$1]) }.squareRoot(), 1e-12))
    }
}
