// Principal component analysis and whitening, with the numbers of scikit-learn's `PCA(svd_solver="full")`.

internal import FinetuneEngine

/// Orthogonal directions in the order of the features' variance along them.
struct PrincipalComponents: Sendable {
    /// Of each feature.
    let mean: [Double]
    /// What a centered row is multiplied by for each component, shape `[count, features]`.
    let directions: [Double]
    /// Along each component, with n − 1 in the denominator.
    let variances: [Double]
    let explainedVarianceRatio: [Double]
    /// Components that have no variance but rounding's, left out.
    let dropped: Int

    var count: Int { variances.count }

    /// - Parameters:
    ///   - features: Shape `[images, features]`.
    ///   - wanted: How many components are kept; nil for all that have a variance.
    /// - Throws: `ScalingError` where there are fewer.
    init(fitting features: Tensor, count wanted: Int?) throws {
        let (rows, columns) = (features.shape[0], features.shape[1])
        mean = Standardization(fitting: features).mean
        let centered = features.centered(mean)
        // Eigenvectors of the smaller of the covariance and the matrix of inner products.
        let isTall = columns <= rows
        let size = isTall ? columns : rows
        let gram = LinearAlgebra.gram(centered, rows: rows, columns: columns, ofColumns: isTall)
        guard gram.allSatisfy(\.isFinite), let (values, vectors) = LinearAlgebra.eigenvectors(gram, n: size) else {
            throw ScalingError.notFinite
        }
        let denominator = Double(max(rows - 1, 1))
        let total = (0..<size).reduce(0) { $0 + gram[$1 * size + $1] } / denominator
        let largest = values.last ?? 0
        let limit = Double(max(rows, columns)) * 0x1p-52 * largest
        let available = min(values.count { $0 > limit && $0 > 0 }, rows - 1)
        guard available >= max(1, wanted ?? 1) else {
            throw ScalingError.tooMany(wanted ?? 1, images: rows, features: columns, available: available)
        }
        let count = wanted ?? available
        dropped = min(rows, columns) - available
        variances = (0..<count).map { values[size - 1 - $0] / denominator }
        explainedVarianceRatio = variances.map { $0 / total }
        var directions: [Double] = []
        for component in 0..<count {
            let place = size - 1 - component
            var direction = Array(vectors[place * size..<(place + 1) * size])
            if !isTall {
                let length = values[place].squareRoot()
                direction = LinearAlgebra.weightedSum(ofRows: centered, direction, columns: columns).map { $0 / length }
            }
            // The largest entry is positive, so that the same features always give the same signs.
            let peak = direction.max { abs($0) < abs($1) } ?? 1
            directions += peak < 0 ? direction.map { -$0 } : direction
        }
        self.directions = directions
    }

    private init(_ other: PrincipalComponents, directions: [Double]) {
        mean = other.mean
        variances = other.variances
        explainedVarianceRatio = other.explainedVarianceRatio
        dropped = other.dropped
        self.directions = directions
    }

    /// The same with a variance of 1 along each component: `PCA(whiten=True)`.
    var whitening: PrincipalComponents {
        let columns = mean.count
        return PrincipalComponents(
            self, directions: directions.indices.map { directions[$0] / variances[$0 / columns].squareRoot() })
    }

    /// - Returns: Shape `[images, count]`.
    func apply(_ features: Tensor) -> Tensor {
        let (rows, columns) = (features.shape[0], features.shape[1])
        let centered = features.centered(mean)
        let projected = LinearAlgebra.products(
            ofRows: centered, andRows: directions, rows: rows, inner: columns, columns: count)
        return Tensor(shape: [rows, count], values: projected.map { Float($0) })
    }

    /// `W' = W·P`, `b' = b − W'·μ`
    func folded(weight: Tensor, bias: Tensor) -> (weight: Tensor, bias: Tensor) {
        let (outputs, columns) = (weight.shape[0], mean.count)
        let (old, shift) = (weight.values, bias.values)
        var new = [Float](repeating: 0, count: outputs * columns)
        var offsets = shift
        for output in 0..<outputs {
            let row = LinearAlgebra.weightedSum(
                ofRows: directions, old[output * count..<(output + 1) * count].map { Double($0) }, columns: columns)
            for column in 0..<columns { new[output * columns + column] = Float(row[column]) }
            offsets[output] = Float(Double(shift[output]) - zip(row, mean).reduce(0) { $0 + $1.0 * $1.1 })
        }
        return (
            Tensor(shape: [outputs, columns], values: new), Tensor(shape: [outputs], values: offsets)
        )
    }
}
