// A mountain lake early in the morning: height field, conifers, haze.
#version 3.7;
global_settings { assumed_gamma 1.0 max_trace_level 4 }

#declare Sun = vnormalize(<-0.85, 0.34, -0.30>);
camera { location <1.7, 0.62, 0.9> look_at <-0.4, 2.05, 20> angle 50 right x*1.5 up y }
light_source { Sun*1000 color rgb <1.75, 1.33, 0.93>*1.9 parallel point_at 0 }
light_source { <300, 900, -500> color rgb <0.24, 0.34, 0.52>*0.75 shadowless }

sky_sphere {
  pigment {
    gradient y
    color_map {
      [0.00 rgb <0.95,0.76,0.62>] [0.08 rgb <0.74,0.70,0.70>] [0.20 rgb <0.36,0.50,0.72>]
      [0.42 rgb <0.15,0.29,0.56>] [1.0 rgb <0.06,0.15,0.38>]
    }
  }
}
// High cloud, on a plane so that it has perspective.
plane { y, 30 hollow no_shadow
  pigment {
    wrinkles turbulence 0.55 octaves 7 lambda 2.1 omega 0.55 scale <34, 20, 20> rotate 24*y translate <7,0,31>
    color_map { [0.42 rgbt <1,1,1,1>] [0.60 rgbt <1.1,0.92,0.82,0.70>] [0.90 rgbt <1.25,1.02,0.88,0.22>] }
  }
  finish { ambient 0 emission 1 diffuse 0 }
}

fog { fog_type 2 distance 62 fog_offset 0 fog_alt 2.6 color rgb <0.56,0.64,0.78> }
fog { fog_type 2 distance 26 fog_offset 0.03 fog_alt 0.16 color rgb <0.92,0.84,0.78> turbulence 0.6 turb_depth 0.4 }

#declare Rock = texture {
  pigment { granite scale 2.5 color_map { [0 rgb <0.16,0.15,0.15>] [0.5 rgb <0.33,0.31,0.29>] [1 rgb <0.52,0.48,0.44>] } }
  normal { granite 0.35 scale 0.6 }
  finish { ambient rgb <0.03,0.04,0.06> diffuse 0.8 }
}
#declare Scree = texture {
  pigment { granite scale 0.9 color_map { [0 rgb <0.20,0.19,0.15>] [1 rgb <0.45,0.41,0.34>] } }
  normal { bumps 0.4 scale 0.03 }
  finish { ambient rgb <0.03,0.04,0.06> diffuse 0.8 }
}
#declare Shore = texture {
  pigment { granite scale 0.3 color_map { [0 rgb <0.10,0.09,0.08>] [1 rgb <0.30,0.26,0.22>] } }
  normal { bumps 0.5 scale 0.02 }
  finish { ambient rgb <0.02,0.03,0.04> diffuse 0.8 }
}
#declare Meadow = texture {
  pigment { bozo turbulence 0.8 octaves 7 scale 0.4 color_map { [0.1 rgb <0.055,0.075,0.03>] [0.5 rgb <0.13,0.14,0.05>] [0.9 rgb <0.24,0.20,0.09>] } }
  normal { bumps 0.6 scale 0.015 }
  finish { ambient rgb <0.02,0.03,0.04> diffuse 0.8 }
}
#declare Snow = texture {
  pigment { granite scale 1.2 color_map { [0 rgb <0.80,0.82,0.86>] [1 rgb <0.97,0.97,0.98>] } }
  normal { granite 0.2 scale 0.4 }
  finish { ambient rgb <0.06,0.08,0.12> diffuse 0.85 }
}
#declare Heights = height_field { png "lake_height.png" smooth translate <-0.5,0,0> scale <60,10,60> }
object { Heights
  texture {
    gradient y scale 10 warp { turbulence <0.02,0.035,0.02> octaves 6 lambda 2.3 omega 0.6 }
    texture_map {
      [0.000 Shore] [0.004 Shore] [0.008 Meadow] [0.20 Meadow]
      [0.28 slope { -y 0.0, 0.6 } texture_map { [0.3 Meadow] [0.5 Rock] }]
      [0.36 Rock]
      [0.47 slope { -y } texture_map { [0.20 Snow] [0.32 Rock] }]
      [0.62 slope { -y } texture_map { [0.34 Snow] [0.44 Rock] }]
      [0.985 slope { -y } texture_map { [0.38 Snow] [0.50 Rock] }]
      [0.985 Shore]  // turbulence carries the foot of the slope below 0, which wraps round to 1
    }
  }
}

#declare NeedleFinish = finish { ambient rgb <0.008,0.012,0.014> diffuse 0.75 }
#declare Needles0 = texture { pigment { rgb <0.045,0.075,0.040> } finish { NeedleFinish } }
#declare Needles1 = texture { pigment { rgb <0.060,0.090,0.042> } finish { NeedleFinish } }
#declare Needles2 = texture { pigment { rgb <0.034,0.062,0.040> } finish { NeedleFinish } }
#declare Needles3 = texture { pigment { rgb <0.100,0.098,0.040> } finish { NeedleFinish } }
#include "lake_trees.inc"
#include "lake_forest.inc"

plane { y, 0.02
  pigment { rgb <0.012,0.022,0.028> }
  normal {
    average normal_map {
      [1 bumps 0.025 scale <0.16,0.1,0.05>]
      [1 bumps 0.03 scale <0.7,0.3,0.16> turbulence 0.4]
      [1 bumps 0.018 scale <0.05,0.05,0.02>]
    }
  }
  finish { ambient 0 diffuse 0.5 specular 0.4 roughness 0.002 reflection { 0.03, 0.95 fresnel } conserve_energy }
  interior { ior 1.33 }
}
