// Features brought to mean 0 and variance 1 by the training images' statistics: scikit-learn's StandardScaler.

package import FinetuneEngine

/// The mean and standard deviation of each feature.
package struct Standardization: Sendable {
    package let mean: [Double]
    /// Population standard deviations; 1 where a feature never varies.
    package let deviation: [Double]

    /// - Parameter features: Shape `[images, features]`.
    package init(fitting features: Tensor) {
        let (rows, columns) = (features.shape[0], features.shape[1])
        var mean = [Double](repeating: 0, count: columns)
        var variance = [Double](repeating: 0, count: columns)
        features.forEachRow { _, row in
            for column in row.indices { mean[column] += Double(row[column]) }
        }
        for column in 0..<columns { mean[column] /= Double(max(rows, 1)) }
        features.forEachRow { _, row in
            for column in row.indices {
                let difference = Double(row[column]) - mean[column]
                variance[column] += difference * difference
            }
        }
        self.mean = mean
        deviation = zip(variance, mean).map { sum, mean in
            let variance = sum / Double(max(rows, 1))
            // What is left of a constant feature is rounding error, not variance.
            return variance <= 10 * 0x1p-52 * mean * mean ? 1 : variance.squareRoot()
        }
    }

    package func apply(_ features: Tensor) -> Tensor {
        features.mapRows { _, row, result in
            for column in row.indices {
                result[column] = Float((Double(row[column]) - mean[column]) / deviation[column])
            }
        }
    }

    /// `W' = W/σ`, `b' = b − W·μ/σ`
    package func folded(weight: Tensor, bias: Tensor) -> (weight: Tensor, bias: Tensor) {
        let columns = mean.count
        var (newWeight, newBias) = (weight.values, bias.values)
        for row in newBias.indices {
            var shift = 0.0
            for column in 0..<columns {
                let scaled = Double(newWeight[row * columns + column]) / deviation[column]
                newWeight[row * columns + column] = Float(scaled)
                shift += scaled * mean[column]
            }
            newBias[row] = Float(Double(newBias[row]) - shift)
        }
        return (Tensor(shape: weight.shape, values: newWeight), Tensor(shape: bias.shape, values: newBias))
    }
}
