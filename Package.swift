// swift-tools-version: 6.2
import PackageDescription

// The rooms of the program, bottom up. Arrows point down only: a room names every room it may use.
// A C library is imported by one room, through a system-library target named CFinetune…, under Sources/C.

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("ExistentialAny"),
    .treatAllWarnings(as: .error),
]

func room(_ name: String, _ dependencies: [Target.Dependency] = [], resources: [Resource]? = nil) -> Target {
    // Without Foundation nothing else links the C library's mathematics.
    .target(
        name: name, dependencies: dependencies, resources: resources, swiftSettings: strict,
        linkerSettings: [.linkedLibrary("m")])
}

func library(_ name: String, pkgConfig: String? = nil, apt packages: String...) -> Target {
    .systemLibrary(name: name, path: "Sources/C/\(name)", pkgConfig: pkgConfig, providers: [.apt(packages)])
}

func tests(_ name: String, fixtures: Bool = true, _ dependencies: [Target.Dependency]) -> Target {
    .testTarget(name: name, dependencies: dependencies, exclude: fixtures ? ["Fixtures"] : [], swiftSettings: strict)
}

// The parsers under fuzzing. Every test build compiles them and feeds them their seeds; scripts/fuzz builds the same files
// with a driver, which alone links libFuzzer, as a program.
let fuzzedRooms: [Target.Dependency] = [
    "FinetuneCheckpoints", "FinetuneCodecs", "FinetuneDatasets", "FinetuneModels", "FinetuneEngine", "FinetuneFiles",
]
let fuzzing: Target =
    Context.environment["FINETUNE_FUZZ"] == "1"
    ? .executableTarget(
        name: "FinetuneFuzz", dependencies: fuzzedRooms, path: "Tests/FinetuneFuzzTests",
        exclude: ["SeedTests.swift"], swiftSettings: strict)
    : .testTarget(
        name: "FinetuneFuzzTests",
        dependencies: fuzzedRooms + ["TestSupport", "FinetuneReadWeights", "FinetuneReadPictures"],
        exclude: ["Driver"],
        swiftSettings: strict)

let package = Package(
    name: "finetune",
    products: [
        .library(name: "Finetune", targets: ["Finetune"]),
        .executable(name: "finetune", targets: ["FinetuneCommand"]),
        .executable(name: "finetune-read-weights", targets: ["FinetuneReadWeights"]),
        .executable(name: "finetune-read-pictures", targets: ["FinetuneReadPictures"]),
    ],
    traits: [.trait(name: "MPI", description: "Runs that several processes share, under Open MPI's mpirun or Slurm.")],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.1"),
    ],
    targets: [
        library("CFinetuneZlib", pkgConfig: "zlib", apt: "zlib1g-dev"),
        .systemLibrary(name: "CFinetuneMalloc", path: "Sources/C/CFinetuneMalloc"),
        .systemLibrary(name: "CFinetuneSignals", path: "Sources/C/CFinetuneSignals"),
        library("CFinetuneXXHash", pkgConfig: "libxxhash", apt: "libxxhash-dev"),
        library("CFinetuneDNNL", apt: "libdnnl-dev"),
        .systemLibrary(name: "CFinetuneMath", path: "Sources/C/CFinetuneMath"),
        library("CFinetuneBLAS", pkgConfig: "openblas", apt: "libopenblas-dev"),
        library("CFinetuneHDF5", pkgConfig: "hdf5", apt: "libhdf5-dev"),
        library("CFinetuneSeccomp", apt: "linux-libc-dev"),
        library("CFinetuneJPEG", pkgConfig: "libturbojpeg", apt: "libturbojpeg0-dev"),
        library("CFinetunePNG", pkgConfig: "spng", apt: "libspng-dev"),
        library("CFinetuneWebP", pkgConfig: "libwebp", apt: "libwebp-dev"),
        library("CFinetuneTIFF", pkgConfig: "libtiff-4", apt: "libtiff-dev"),
        library("CFinetuneHEIF", pkgConfig: "libheif", apt: "libheif-dev"),
        library("CFinetuneAVIF", apt: "libavif-dev"),
        library("CFinetuneJXL", apt: "libjxl-dev"),
        .systemLibrary(name: "CFinetuneProcess", path: "Sources/C/CFinetuneProcess"),
        library("CFinetuneMPI", pkgConfig: "ompi-c", apt: "libopenmpi-dev"),

        room("FinetuneFiles", ["CFinetuneZlib", "CFinetuneXXHash", "CFinetuneMalloc"]),
        room(
            "FinetuneRanks",
            ["FinetuneFiles", .target(name: "CFinetuneMPI", condition: .when(traits: ["MPI"]))]),
        room(
            "FinetuneEngine", ["CFinetuneDNNL", "CFinetuneBLAS", "CFinetuneMath", "FinetuneRanks", "FinetuneFiles"]),
        room("FinetuneModels", ["FinetuneEngine", "FinetuneFiles"]),
        room("FinetuneCheckpoints", ["FinetuneModels", "FinetuneEngine", "FinetuneFiles", "CFinetuneHDF5"]),
        room(
            "FinetuneDatasets",
            [
                "FinetuneModels", "FinetuneFiles",
                "CFinetuneJPEG", "CFinetunePNG", "CFinetuneWebP", "CFinetuneTIFF", "CFinetuneProcess",
            ]),
        room("FinetuneCodecs", ["FinetuneFiles", "CFinetuneHEIF", "CFinetuneAVIF", "CFinetuneJXL"]),
        room(
            "FinetunePipeline",
            [
                "FinetuneCheckpoints", "FinetuneDatasets", "FinetuneModels", "FinetuneEngine", "FinetuneRanks",
                "FinetuneFiles",
            ]),
        room("FinetuneEvaluation", ["FinetuneFiles"]),
        room(
            "FinetuneReport", ["FinetuneFiles", .product(name: "Mustache", package: "swift-mustache")],
            resources: [.embedInCode("Templates")]),
        room(
            "FinetuneTraining",
            [
                "FinetunePipeline", "FinetuneEvaluation", "FinetuneCheckpoints", "FinetuneDatasets",
                "FinetuneModels", "FinetuneEngine", "FinetuneRanks", "FinetuneFiles",
            ]),
        room(
            "Finetune",
            [
                "FinetuneTraining", "FinetunePipeline", "FinetuneEvaluation", "FinetuneCheckpoints",
                "FinetuneDatasets", "FinetuneModels", "FinetuneEngine", "FinetuneFiles",
            ]),
        .executableTarget(
            name: "FinetuneCommand",
            dependencies: [
                "FinetuneTraining", "FinetuneReport", "FinetunePipeline", "FinetuneEvaluation", "FinetuneCheckpoints",
                "FinetuneDatasets", "FinetuneModels", "FinetuneEngine", "FinetuneRanks", "FinetuneFiles",
                "CFinetuneSignals", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: strict),
        .executableTarget(
            name: "FinetuneReadWeights", dependencies: ["FinetuneFiles", "CFinetuneHDF5", "CFinetuneSeccomp"],
            swiftSettings: strict),
        .executableTarget(
            name: "FinetuneReadPictures", dependencies: ["FinetuneCodecs", "FinetuneFiles", "CFinetuneSeccomp"],
            swiftSettings: strict),

        .target(
            name: "TestSupport", dependencies: ["FinetuneEngine", "FinetuneFiles"], path: "Tests/TestSupport",
            swiftSettings: strict),
        tests("FinetuneFilesTests", ["FinetuneFiles", "TestSupport"]),
        tests("FinetuneRanksTests", fixtures: false, ["FinetuneRanks"]),
        tests("FinetuneEngineTests", ["FinetuneEngine", "FinetuneFiles", "TestSupport"]),
        tests("FinetuneModelsTests", ["FinetuneModels", "FinetuneEngine", "FinetuneFiles", "TestSupport"]),
        tests(
            "FinetuneCheckpointsTests",
            [
                "FinetuneCheckpoints", "FinetuneDatasets", "FinetuneModels", "FinetuneEngine", "FinetuneFiles",
                "TestSupport",
                "FinetuneReadWeights",
            ]),
        tests(
            "FinetuneCommandTests",
            [
                "FinetuneTraining", "FinetuneEngine", "FinetuneFiles", "TestSupport", "FinetuneCommand",
                "FinetuneReadWeights",
                "FinetuneReadPictures", .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        tests(
            "FinetuneDatasetsTests",
            ["FinetuneDatasets", "FinetuneModels", "FinetuneFiles", "TestSupport", "FinetuneReadPictures"]),
        tests(
            "FinetunePipelineTests",
            [
                "FinetunePipeline", "FinetuneDatasets", "FinetuneModels", "FinetuneEngine", "FinetuneFiles",
                "TestSupport",
            ]),
        tests(
            "FinetuneTrainingTests",
            [
                "FinetuneTraining", "FinetunePipeline", "FinetuneModels", "FinetuneEngine", "FinetuneFiles",
                "TestSupport",
            ]),
        // As other packages see it.
        .testTarget(
            name: "FinetuneTests",
            dependencies: ["Finetune", "FinetuneReadWeights", "FinetuneReadPictures", "FinetuneCommand"],
            packageAccess: false, swiftSettings: strict),
        tests("FinetuneEvaluationTests", ["FinetuneEvaluation", "FinetuneFiles", "TestSupport"]),
        tests("FinetuneReportTests", fixtures: false, ["FinetuneReport"]),
        fuzzing,
    ]
)
